"""Makes a module from train.py with other knobs, like the text of a contestant."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import constants
import train


def text_with(task: str | None = None, **knobs: Any) -> str:
    """The text of train.py with a task's knobs, then with the given knobs."""
    folder = Path(train.__file__).parent
    wanted: dict[str, Any] = {}
    if task:
        wanted = tomllib.loads((folder / "tasks" / f"{task}.toml").read_text()).get("knobs", {})
    text: str = constants.rewrite(Path(train.__file__).read_text(), {**wanted, **knobs})
    return text


def with_knobs(task: str | None = None, **knobs: Any) -> Any:
    """The module of the text with those knobs."""
    module = types.ModuleType("train_with_knobs")
    sys.modules[module.__name__] = module  # dataclasses look up their module here
    exec(compile(text_with(task, **knobs), "train.py", "exec"), module.__dict__)
    return module
