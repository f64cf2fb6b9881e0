"""What every contestant gets: the task. Only `constants` and `catalog` are imported on the host."""
