"""The task that every contestant gets. The host imports only `constants` and `catalog`."""
