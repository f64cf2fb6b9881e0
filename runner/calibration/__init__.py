"""What the pristine train.py takes on this machine, measured once, before any contestant."""

from runner.calibration.facts import Calibration, Facts, key_of, scored_share, will_do
from runner.calibration.measuring import Place, ensure, read_facts

__all__ = [
    "Calibration", "Facts", "Place", "ensure", "key_of", "read_facts", "scored_share", "will_do",
]  # fmt: skip
