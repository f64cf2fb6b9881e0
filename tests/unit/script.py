"""Programs of ours that have no suffix, because people call them by name, as modules."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType

from runner.records.layout import ROOT


def load_script(path: str) -> ModuleType:
    """The program at that path of the repository, not run."""
    name = path.replace("/", "_")
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    loader.exec_module(module)
    return module
