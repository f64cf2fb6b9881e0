"""The scripted model in each provider's API."""
