"""Tries to break out of the very containers of a run, and says what came of it."""
