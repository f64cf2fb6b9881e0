"""The images of the agent CLIs: one for each folder of `images/agent/` that has a `cli.toml`.

`images/images.toml` holds one table for all of them. `{cli}` in it stands for the folder's name,
`{version}` for the version of the CLI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.errors import HostError

CLI, VERSION = "{cli}", "{version}"


def cli_names(root: Path) -> list[str]:
    """The names of all agent CLIs of a checkout, sorted."""
    return sorted(path.parent.name for path in (root / "images" / "agent").glob("*/cli.toml"))


def expanded(tables: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The tables of `images.toml`, with one table per CLI in place of the table for all CLIs.

    Raises:
        HostError: the version of a CLI cannot be read.
    """
    found: dict[str, Any] = {}
    for name, fields in tables.items():
        if CLI not in name:
            found[name] = fields
            continue
        for cli in cli_names(root):
            values = {CLI: cli, VERSION: cli_version(root, cli)}
            found[_filled(name, values)] = _filled(fields, values)
    return found


def cli_version(root: Path, cli: str) -> str:
    """The version of a CLI: that of its one npm package, or of the folder where it needs none.

    Raises:
        HostError: `package.json` is not there, is no JSON, or names no version.
    """
    path = root / "images" / "agent" / cli / "package.json"
    try:
        package = json.loads(path.read_text(encoding="utf-8"))
        (version,) = package.get("dependencies", {}).values() or [package["version"]]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise HostError(
            f"reading the version of the CLI {cli} from {path}: {error!r}",
            hint="it has to name one package with its version, or a version of its own",
        ) from error
    return str(version)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """A string, list or table with the names of `values` replaced in each string."""
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(name, text)
    return value
