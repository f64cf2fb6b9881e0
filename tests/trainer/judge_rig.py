"""A judge for tests: the real socket, session and arithmetic, in this process or as a program."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catalog
import numpy as np
import scoring_session
import torch
from catalog import Task
from listener import Listener
from torch import Tensor

CPU = torch.device("cpu")
JUDGE = Path(scoring_session.__file__).with_name("judge.py")
Predict = Callable[[Tensor], Tensor]


@dataclasses.dataclass
class Judge:
    """One session that is served in a thread; `found` is what it told."""

    folder: Path
    setup: dict[str, Any]
    found: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    path: Path = Path()
    listener: Listener | None = None
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)

    def told(self, result: dict[str, Any]) -> None:
        """Takes what the session tells."""
        self.found.append(result)
        if "finished" in result:
            self.ended.set()

    def open(self, path: Path) -> None:
        """Listens on a path."""
        session = scoring_session.Session(self.setup, self.told)

        def on_hello(connection: Any, hello: dict[str, Any], _at: float) -> None:
            def serve() -> None:
                connection.setblocking(True)
                session.serve(connection, hello)
                connection.close()

            threading.Thread(target=serve, daemon=True).start()

        self.path = path
        self.listener = Listener(path, on_hello)

    def close(self) -> None:
        """Takes no further connection."""
        if self.listener is not None:
            self.listener.close()

    @property
    def finished(self) -> dict[str, Any]:
        """How the final score ended, once it has."""
        assert self.ended.wait(60)
        (found,) = [one["finished"] for one in self.found if "finished" in one]
        return dict(found)

    @property
    def estimates(self) -> list[dict[str, Any]]:
        """All estimates."""
        return [one["estimated"] for one in self.found if "estimated" in one]


def setup_of(folder: Path, **fields: Any) -> dict[str, Any]:
    """What a session is told; the task's own sizes by default."""
    task = catalog.make_task(json.loads((folder / "task.json").read_text()))
    given = {
        "mode": "trial", "seed": 1, "hidden": 0, "folders": {"val": str(folder)},
        "references": {}, "judged_tokens": task.judged_tokens,
        "estimate_tokens": task.estimate_tokens, "threads": 1, "silence_seconds": 20.0, "kept": {},
    }  # fmt: skip
    return {**given, **fields}


# --- data whose best model is known ---


@dataclasses.dataclass
class Chain:
    """Text of a Markov chain: token 0 is special, and every other stands for two bytes."""

    folder: Path
    task: Task
    log_chances: Tensor  # [V, V], of the next token given this one
    rows: Any  # [N, T + 1]

    def honest(self, tokens: Tensor) -> Tensor:
        """The chain's own log-probabilities: nothing that is causal predicts better."""
        return self.log_chances[tokens]

    def ahead(self, tokens: Tensor, share: float) -> Tensor:
        """The same, with a share of each prediction moved to the token that truly follows."""
        logits = self.honest(tokens)
        following = torch.roll(tokens, -1, 1)
        known = torch.nn.functional.one_hot(following, logits.size(2)).float()
        known[:, -1] = logits[:, -1].exp()
        return ((1 - share) * logits.exp() + share * known).log()


def make_chain(folder: Path, rows: int = 400, length: int = 32, vocabulary: int = 48) -> Chain:
    """Writes the validation split of a chain with a seed of its own."""
    generator = torch.Generator().manual_seed(11)
    chances = (2.5 * torch.randn(vocabulary, vocabulary, generator=generator)).softmax(1)
    drawn = torch.zeros(rows, length + 1, dtype=torch.long)
    for place in range(1, length + 1):
        drawn[:, place] = torch.multinomial(
            chances[drawn[:, place - 1]], 1, generator=generator
        ).squeeze(1)
    task = dataclasses.replace(
        catalog.named_task("text"), sequence_tokens=length, vocabulary=vocabulary,
        judged_tokens=96 * length, estimate_tokens=24 * length, eval_tokens=150 * length,
    )  # fmt: skip
    (folder / "task.json").write_text(json.dumps(dataclasses.asdict(task)))
    drawn.numpy().astype("<u2").tofile(folder / "val.bin")
    np.save(folder / "token_bytes.npy", np.array([0] + [2] * (vocabulary - 1), np.int32))
    return Chain(folder, task, chances.log(), drawn.numpy())


# --- the judge as a program ---


def scored(
    text: str, data: Path, folder: Path, *options: str, **environment: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Runs a train.py under `judge.py run`; how it ran, and what the judge found."""
    (folder / "train.py").write_text(text)
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    given = {"BAKEOFF_DATA": str(data), "OMP_NUM_THREADS": "1", **environment}
    command = [
        sys.executable, str(JUDGE), "run", "--data", str(data), "--threads", "1",
        "--result", str(result), *options, "--", sys.executable, "-u", "train.py",
    ]  # fmt: skip
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, **given}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    found = json.loads(result.read_text()) if result.is_file() else {}
    return ran, found
