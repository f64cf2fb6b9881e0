"""Archives, names and files as a hostile contestant makes them, read by all that reads such."""
