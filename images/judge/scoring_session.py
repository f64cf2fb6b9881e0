"""What is scored in one session, by its mode, and what is told about it.

`told` is given a dictionary for each result: `estimated` or `finished`, with the fields of
`ScoreEstimated` and `ScoreFinished` in runner/wire/messages.py. A result is told before the trial
gets its answer, so that none is lost when the trial then ends.
"""

from __future__ import annotations

import math
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arithmetic
import frames
import fresh
import held_out
import numpy as np
import plan
import torch
from arithmetic import FaultError, ModelError
from judge_terms import OF_A_TRIAL, WENT_AWAY
from plan import Sent, Split
from results import Collected

Told = Callable[[dict[str, Any]], Any]


class Session:
    """One trial's scores.

    Args:
        setup: what `sessions.py` sends its child first.
        told: is given each result.
    """

    def __init__(self, setup: dict[str, Any], told: Told) -> None:
        self.setup, self.told = setup, told
        self.mode, self.seed = str(setup["mode"]), int(setup["seed"])
        folders = {split: Path(folder) for split, folder in setup["folders"].items()}
        self.task = held_out.task_of(next(iter(folders.values())))
        self.rows = {
            split: held_out.rows_of(folder, split, self.task) for split, folder in folders.items()
        }
        self.token_bytes = held_out.token_bytes_of(next(iter(folders.values())))
        self.references = held_out.references_of(setup["references"], self.rows)
        self.estimates = 0
        self.fresh: fresh.Comparison | None = None

    def serve(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        """Serves one call of the trial, to its end; it raises nothing that the trial causes."""
        connection.settimeout(float(self.setup["silence_seconds"]))
        final = hello["purpose"] == "final"
        try:
            value = None
            if not final:
                self._estimate(connection, hello)
            elif self.mode == "check":
                self._check(connection, hello)
            elif self.mode == "fresh":
                self._fresh(connection, hello)
            else:
                value = self._final(connection, hello)
            frames.send_json(connection, {"done": True, "value": value})
        except FaultError as fault:
            self._finish("rejected", str(fault))
            self._answer_nothing(connection)
        except ModelError as error:
            if final:
                self._finish("failed", "model error", audit={"model error": {"type": str(error)}})
        except TimeoutError:
            self._finish("rejected", "stalled")
        except OSError:
            if final:
                self._finish("failed", WENT_AWAY)

    def _answer_nothing(self, connection: socket.socket) -> None:
        try:
            frames.send_json(connection, {"done": True, "value": None})
        except OSError:
            return  # it may be gone, or send without reading

    # --- the two purposes -----------------------------------------------------------------------

    def _final(self, connection: socket.socket, hello: dict[str, Any]) -> float | None:
        size = self._size(hello)
        splits = self._splits()
        whole = self.mode == "reference"
        batches = self._all_rows(size) if whole else self._planned(splits, size)
        collected = self._collect(connection, size, batches)
        values = {split: collected.bpb(split, own.final) for split, own in splits.items()}
        tokens = sum(collected.tokens(split, own.final) for split, own in splits.items())
        if self.mode == "referee" and "val" in splits:
            judged = range(min(len(splits["val"].final), self._rows_of_tokens("judged_tokens")))
            values["judged"] = collected.bpb("val", judged)
        if whole:
            collected.keep(self.setup["kept"], {s: len(rows) for s, rows in self.rows.items()})
            of_a_trial = {"tokens": self._targets(self._planned(splits, size))}
            sent = self._targets(batches)
            self._finish("scored", "", sent, values, {OF_A_TRIAL: of_a_trial})
            return values.get("val")
        audits = collected.audits(splits, self.references)
        failed = [name for name, numbers in audits.items() if not numbers["passed"]]
        if failed:
            self._finish("rejected", failed[0], tokens, values, audits)
            return None
        self._finish("scored", "", tokens, values, audits)
        return values.get("val", next(iter(values.values())))

    def _estimate(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        size = self._size(hello)
        self.estimates += 1
        splits = self._splits()
        if "val" not in splits or self.mode not in ("trial", "reference"):
            return
        seed = self.seed + self.estimates
        batches = plan.estimate_batches(splits["val"], size, seed)
        if not batches:
            return
        collected = self._collect(connection, size, batches)
        value = collected.bpb("val", splits["val"].estimate)
        self.told({"estimated": {"fraction": float(hello["fraction"]), "value": value}})

    def _check(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        """One batch of random token ids; the answer's shape and its finiteness are checked."""
        size = self._size(hello)
        shape = (size, self.task.sequence_tokens)
        ids = np.random.default_rng(self.seed).integers(0, self.task.vocabulary, shape, "<i4")
        frames.send_json(connection, {"rows": size})
        frames.send_frame(connection, frames.TOKENS, ids)
        targets = torch.from_numpy(ids.astype(np.int64))
        arithmetic.receive(connection, targets, self.task.vocabulary, {})
        self._finish("scored", "")

    def _fresh(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        """One batch of the comparison without memory, of as many calls as the runner said."""
        if self.fresh is None:
            size = min(fresh.MAX_ROWS, self._size(hello))
            split = self._splits()["val"]
            calls = int(self.setup["hidden"])
            self.fresh = fresh.Comparison(split, size, calls, self.task.sequence_tokens, self.seed)
        batch, keep = self.fresh.next()
        ids, targets = self._tokens(batch)
        frames.send_json(connection, {"rows": len(batch)})
        frames.send_frame(connection, frames.TOKENS, ids)
        answer = arithmetic.receive(connection, targets, self.task.vocabulary, keep)
        self.fresh.add(answer)
        if self.fresh.complete:
            self._finish("scored", "", audit=self.fresh.audit())

    # --- rows -----------------------------------------------------------------------------------

    def _size(self, hello: dict[str, Any]) -> int:
        task = self.task
        return frames.rows_of_a_batch(hello["rows"], task.sequence_tokens, task.vocabulary)

    def _rows_of_tokens(self, name: str) -> int:
        return max(1, int(self.setup[name]) // self.task.sequence_tokens)

    def _splits(self) -> dict[str, Split]:
        judged, estimate = map(self._rows_of_tokens, ("judged_tokens", "estimate_tokens"))
        if self.mode != "referee":
            return {
                split: plan.divided(rows, self.token_bytes, judged, estimate)
                for split, rows in self.rows.items()
            }
        wanted = self.task.eval_tokens // self.task.sequence_tokens
        hidden = int(self.setup["hidden"]) or plan.LEAST_HIDDEN
        return {
            split: plan.divided_for_referee(rows, self.token_bytes, wanted, hidden)
            for split, rows in self.rows.items()
        }

    def _planned(self, splits: dict[str, Split], size: int) -> list[list[Sent]]:
        """The batches of a final score, with the rows of its audit."""
        probes = plan.REFEREE_PROBES if self.mode == "referee" else plan.PROBES
        hidden = int(self.setup["hidden"])
        return plan.final_batches(splits, size, hidden, probes, self.seed)

    def _targets(self, batches: list[list[Sent]]) -> int:
        """How many targets the rows of all batches have, those that fill a batch included."""
        return sum(map(len, batches)) * self.task.sequence_tokens

    def _all_rows(self, size: int) -> list[list[Sent]]:
        chance = random.Random(self.seed)
        sent = [
            Sent(split, n, "final") for split, rows in self.rows.items() for n in range(len(rows))
        ]
        chance.shuffle(sent)
        return plan.in_batches(sent, [Sent(s.split, s.row, "filler") for s in sent], size, chance)

    def _collect(
        self,
        connection: socket.socket,
        size: int,
        batches: list[list[Sent]],
    ) -> Collected:
        """Sends all batches and takes the answers."""
        length = self.task.sequence_tokens
        collected = Collected(self.token_bytes, self.rows)
        probed = plan.compared(batches)
        frames.send_json(connection, {"rows": size})
        for batch in batches:
            ids, targets = self._tokens(batch)
            keep = {
                slot: plan.places_to_keep(probed[one.split, one.row], length, self.seed)
                for slot, one in enumerate(batch)
                if one.use in ("final", "probe", "again") and (one.split, one.row) in probed
            }
            frames.send_frame(connection, frames.TOKENS, ids)
            answer = arithmetic.receive(connection, targets, self.task.vocabulary, keep)
            collected.add(batch, answer)
        return collected

    def _tokens(self, batch: list[Sent]) -> tuple[Any, torch.Tensor]:
        """What the trial is sent, int32 [rows, T], and what truly follows, int64 [rows, T]."""
        own = np.stack([self.rows[one.split][one.row] for one in batch]).astype("<i4")
        ids = own[:, :-1].copy()
        for slot, one in enumerate(batch):
            if one.cut >= 0:
                ids[slot, one.cut + 1 :] = self.rows[one.split][one.tail][one.cut + 1 : -1]
        return ids, torch.from_numpy(own[:, 1:].astype(np.int64))

    def _finish(
        self,
        status: str,
        reason: str,
        tokens: int = 0,
        values: dict[str, float] | None = None,
        audit: dict[str, Any] | None = None,
    ) -> None:
        finite = {k: v for k, v in (values or {}).items() if math.isfinite(v)}
        self.told(
            {
                "finished": {
                    "status": status,
                    "reason": reason,
                    "tokens": tokens,
                    "values": finite,
                    "audit": audit or {},
                }
            }
        )
