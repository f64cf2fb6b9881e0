"""The provider's side: requests to it, retries, outages, and the usage in its responses."""
