"""What containers are told when they start: the configurations of wire/start_config.py as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from runner.wire.start_config import (
    AgentConfig,
    GatewayConfig,
    JudgeConfig,
    OptimizerConfig,
    RehearsalConfig,
    RelayConfig,
    TrialConfig,
)

StartConfig = (
    AgentConfig
    | OptimizerConfig
    | RelayConfig
    | GatewayConfig
    | RehearsalConfig
    | TrialConfig
    | JudgeConfig
)


# The version of the messages since which a container knows a field. A resumed run has the images
# with which it began.
KNOWN_SINCE = {
    "orphan_seconds": 2,
    "own": 3,
    "pruner": 3,
    "estimate_at": 3,
    "when": 3,
    "shared": 3,
    "language_model": 4,
    "private_ok": 5,
    "disk": 5,
}


def known_config(config: Mapping[str, Any], version: int) -> dict[str, Any]:
    """A config, its tables included, without what a container of that version would refuse."""
    return {
        name: known_config(it, version) if isinstance(it, Mapping) else it
        for name, it in config.items()
        if KNOWN_SINCE.get(name, 1) <= version
    }


def as_config(config: StartConfig) -> dict[str, Any]:
    """The config as `Start.config` carries it, secrets included."""
    return asdict(config)
