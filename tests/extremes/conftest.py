"""The modules of the optimizer's image by their bare names, as they are called there."""

from __future__ import annotations

import sys

from runner.records.layout import ROOT

sys.path += [str(ROOT / "images" / "optimizer"), str(ROOT / "trainer")]  # trainer: constants.py
