"""What a score and its audit cost, and how sure they are."""
