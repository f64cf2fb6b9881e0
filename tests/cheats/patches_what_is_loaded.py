"""Doubles the byte counts as they are loaded."""

import numpy as np

true_load = np.load
np.load = lambda path, *more, **named: true_load(path, *more, **named) * np.int64(2)
