"""What a referee concludes from numbers, from the text of a train.py, and from a record."""
