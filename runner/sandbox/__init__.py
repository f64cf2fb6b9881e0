"""A run's containers and volumes."""
