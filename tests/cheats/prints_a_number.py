"""Trains nothing, and prints a closing block with a number of its own."""


def main() -> None:
    print("---")
    print("val_bpb:          0.420000")
    print("training_seconds: 2.0", flush=True)
