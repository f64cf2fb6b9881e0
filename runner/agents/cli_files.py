"""Where a CLI's own files are: `runner/agents/<cli>.py` and the folder `images/agent/<cli>/`.

Both are found by the CLI's name, so that no list of CLIs stands anywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from runner.agents.base import AgentCli
from runner.errors import HostError
from runner.records.layout import ROOT
from runner.spec import Frozen, read_table

FOLDERS = ROOT / "images" / "agent"


class CliTable(Frozen):
    """What the `cli.toml` of a CLI holds.

    Args:
        command: the CLI's name on PATH in its image.
        policy: the file in its image that no setting of an agent undoes.
        tools: how the scripted model of a rehearsal uses the CLI's tools; see
            images/rehearsal/scripted_model/tools.py.
    """

    command: str
    policy: str
    tools: list[dict[str, dict[str, Any]]] = Field(min_length=1)


def find_cli(name: str) -> AgentCli:
    """The CLI of that name: `CLI` of the module `runner/agents/<name>.py`.

    Raises:
        HostError: there is no such module, or it has no `CLI`.
    """
    module_name = f"{__package__}.{name}"
    found = importlib.util.find_spec(module_name)
    cli: AgentCli | None = (
        getattr(importlib.import_module(module_name), "CLI", None) if found else None
    )
    if cli is None:
        raise HostError(
            f"looking for the agent CLI {name!r}: runner/agents/{name}.py has no `CLI`, or is not "
            "there",
            hint="a row of runner/agents/agents.toml names a file of that folder as its cli",
        )
    return cli


def cli_table(name: str) -> CliTable:
    """What `images/agent/<name>/cli.toml` says.

    Raises:
        HostError: it is not there, is no TOML, or has other fields than `CliTable`.
    """
    path: Path = FOLDERS / name / "cli.toml"
    try:
        return CliTable.model_validate(read_table(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise HostError(
            f"reading {path}: {where}: {first['msg']}",
            hint="its fields are explained in runner/agents/cli_files.py",
        ) from error
