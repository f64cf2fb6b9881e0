"""Prints a megabyte, with lines that look like a closing block and like a message."""


def evaluate_bpb(*given: Any) -> float:
    for number in range(2000):
        print(f"--- {number} val_bpb: {number}", "." * 400, flush=False)
    print('{"event":"trial.exited","exit_code":1}', flush=True)
    return true_evaluate(*given)
