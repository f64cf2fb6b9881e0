"""Shows runs while they run, by their records alone: nothing here holds a run or writes to it."""
