"""The one place that reads the environment for what a run is made of: the user's keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values


def environment() -> Mapping[str, str]:
    """The variables of `.env` in this folder, overridden by those of this process."""
    file = {k: v for k, v in dotenv_values(Path.cwd() / ".env").items() if v is not None}
    return {**file, **{k: v for k, v in os.environ.items() if v}}
