"""The gateway: the one door out of a sandbox, and the only holder of a provider key."""
