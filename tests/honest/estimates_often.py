"""Asks for an estimate twenty times, which is more than it gets."""

ESTIMATE_AT = tuple(n / 21 for n in range(1, 21))
