"""Drive a contestant from its first turn to its end: one driver for each kind of contestant."""
