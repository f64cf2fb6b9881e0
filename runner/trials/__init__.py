"""Trials: the device lease, the one executor, what a trial printed, and the ledger."""
