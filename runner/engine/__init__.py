"""The Docker engine. Only this folder imports docker; `lockdown.py` is the lock on containers."""
