"""The gateway: the only way out of a sandbox, and the only holder of the provider key."""
