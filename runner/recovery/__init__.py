"""What keeps a run going: parts that died, an engine that is gone, and what a person wants."""
