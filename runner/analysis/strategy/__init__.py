"""How contestants search: what kinds of changes they try, and what follows from a failure."""
