"""Asks the judge a thousand times before it trains."""

import socket

import frames


def main() -> None:
    hello = {"hello": 1, "token": os.environ["BAKEOFF_JUDGE_TOKEN"], "purpose": "estimate"}
    for _ in range(1000):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ["BAKEOFF_JUDGE"])
            frames.send_json(connection, {**hello, "rows": 4, "fraction": 0.5})
