"""What a trial's time tells: its charge, other load, and verdicts; pure functions."""
