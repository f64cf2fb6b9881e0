"""Answers its first batch with a frame that says that four gigabytes follow."""

import socket

import frames


def evaluate_bpb(predict: Any, task: Task, rows: int, device: torch.device) -> float:
    token = os.environ["BAKEOFF_JUDGE_TOKEN"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["BAKEOFF_JUDGE"])
        frames.send_json(connection, {"hello": 1, "token": token, "purpose": "final", "rows": rows})
        frames.receive_json(connection)
        connection.sendall(b"L\xff\xff\xff\xff" + bytes(1000))
        while connection.recv(65536):
            pass
    return 0.0
