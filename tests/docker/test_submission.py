"""What a contestant hands in becomes a trial only if it is the regular file that was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.metrics import VAL_BPB
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import Refusal, SubmissionReader
from runner.wire.messages import MAX_TRAIN_PY_BYTES, TrialRequested

from .trial_rig import PRISTINE, TrialRig

HAND_IN = """
import os
os.chdir("/workspace")
open("good.py", "w").write("DEPTH = 8\\n")
open("latin.py", "wb").write(b"# caf\\xe9\\n")
open("huge.py", "w").write("#" * (1024 * 1024 + 1))
os.symlink("good.py", "link.py")
os.symlink("/etc/passwd", "passwd.py")
os.mkdir("folder.py")
os.mkfifo("pipe.py")
"""


@pytest.fixture(scope="module")
def contestant(engine: Engine, rig: TrialRig) -> Iterator[str]:
    """A container of a contestant that left files of all kinds in its volume."""
    container = engine.create(
        ContainerSpec(
            f"bakeoff-{rig.run_id}-agent", image_tag("base"), f"{rig.run_id}-c", "agent",
            command=["python3", "-c", HAND_IN], mounts=(Mount(rig.volume, "/workspace"),),
        )
    )  # fmt: skip
    engine.start(container)
    state = engine.wait_exit(container, 30)
    assert state is not None
    assert state.exit_code == 0, b"".join(engine.logs(container))
    yield container
    engine.remove(container)


def hand_in(rig: TrialRig, contestant: str, name: str, content: bytes) -> TrialOrder | Refusal:
    reader = SubmissionReader(
        rig.engine, rig.run_dir, Ledger(rig.run_dir, VAL_BPB), PRISTINE, "agent"
    )
    digest = hashlib.sha256(content).hexdigest()
    request = TrialRequested("r", sha256=digest, path=f"/workspace/{name}", commit="c0ffee")
    return reader.order(contestant, request, 1)


def test_a_file_that_is_what_was_asked_for_is_taken(rig: TrialRig, contestant: str) -> None:
    """The order holds the fetched text and what changed in it."""
    order = hand_in(rig, contestant, "good.py", b"DEPTH = 8\n")
    assert isinstance(order, TrialOrder)
    assert order.train_py == "DEPTH = 8\n"
    assert order.knobs_changed == {"DEPTH": (4, 8)}
    assert order.commit == "c0ffee"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("good.py", b"DEPTH = 9\n", "changed while"),
        ("missing.py", b"", "no regular file"),
        ("link.py", b"DEPTH = 8\n", "no regular file"),
        ("passwd.py", b"", "no regular file"),
        ("folder.py", b"", "no regular file"),
        ("pipe.py", b"", "no regular file"),
        ("../../etc/passwd", b"", "changed while"),
        ("latin.py", b"# caf\xe9\n", "not UTF-8"),
        ("huge.py", b"#" * (MAX_TRAIN_PY_BYTES + 1), "over 1 MB"),
    ],
)
def test_anything_else_is_refused_with_a_reason(
    rig: TrialRig, contestant: str, name: str, content: bytes, reason: str
) -> None:
    """Links, folders, pipes, other bytes and endless files become no trial, and nothing hangs."""
    refusal = hand_in(rig, contestant, name, content)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason
