"""Writes byte counts into the data volume, for the trials that follow."""

from pathlib import Path

Path("/data/token_bytes.npy").write_bytes(b"9" * 1000)
