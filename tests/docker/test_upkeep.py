"""What an agent breaks of its sandbox is put right after its turn, or named: it can go on."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from runner.engine.client import Engine
from runner.wire.messages import TurnFinished
from tests.docker.agent_box import FILES, AgentBox, agent_box

WORK = """
set -e
echo "print('better')" > train.py; git commit -qam better
echo "trial,val_bpb" > experiments.csv; echo "best so far: 1.2" > STATUS.md
"""
STILL_WORKS = """
set -e
test -s train.py; test -s program.md
git status >/dev/null; echo "# note" >> train.py; git commit -qam "note"
bash -lc 'trial list' >/dev/null
mkdir -p ~/.bakeoff/outbox; touch ~/.bakeoff/outbox/x /tmp/x
echo works
"""


@pytest.fixture
def box(engine: Engine) -> Iterator[AgentBox]:
    """An agent's container in which an experiment has been made."""
    with agent_box(engine) as made:
        made.start()
        made.shell(WORK)
        yield made


DEEP = """python3 -c '
import os
os.chdir("{place}")
for level in range(1500):
    os.mkdir("a")
    os.chdir("a")
'"""


def after(box: AgentBox, script: str) -> TurnFinished:
    """How a turn of this script ended."""
    box.begin(script)
    return box.end()[0]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("rm -rf /workspace/* /workspace/.[!.]*", "train.py"),
        ("rm -rf .git", "git"),
        ("rm -f train.py", "train.py"),
        (": > train.py", "train.py"),
        ("rm train.py; mkdir -p train.py/x", "train.py"),
        ("rm train.py; ln -s /nowhere train.py", "train.py"),
        ("chmod 000 train.py", "train.py"),
        ("git rm -q program.md; git commit -qm away", "program.md"),
        ("chmod 000 /workspace", "/workspace"),
        ("touch .git/index.lock .git/refs/heads/x.lock", "index.lock"),
        ("head -c 100 /dev/urandom > .git/index", "index"),
        ("rm -rf .git/objects", "git"),
        ("echo nonsense > .git/HEAD", "git"),
        ("rm -f experiments.csv STATUS.md", "experiments.csv"),
        ("echo 'PATH=/nowhere' > ~/.bash_profile", "trial"),
        ("echo 'exit 3' > ~/.profile", "trial"),
        ("echo 'trial() { false; }' > ~/.profile", "trial"),
        ("rm -rf ~/.bakeoff/outbox; touch ~/.bakeoff/outbox", "outbox"),
        ("rm -rf ~/.bakeoff/outbox; ln -s /nowhere ~/.bakeoff/outbox", "outbox"),
        ("chmod 000 ~", "/home/agent"),
        ("cat /dev/zero > /tmp/big", "/tmp"),
        ("echo 'exit 0' > ~/.bash_profile", "trial"),
        ("chmod 000 STATUS.md; rm train.py", "STATUS.md"),
        ("chmod 000 .git", ".git"),
    ],
)
def test_damage_is_named_and_put_right(box: AgentBox, damage: str, words: str) -> None:
    """The next turn has its files, git, `trial` and room, and is told what was wrong."""
    finished = after(box, damage)
    assert words in " ".join(finished.wrong), finished
    assert finished.restored
    assert box.shell(STILL_WORKS) == "works\n"
    assert after(box, "true").wrong == []


def test_a_sound_sandbox_is_left_alone(box: AgentBox) -> None:
    """An agent may change, add and delete what it likes beside the few files that it needs."""
    change = "rm -rf x; mkdir x; echo 1 > x/y; git checkout -qb other; git add -A; git commit -qm x"
    finished = after(box, change)
    assert (finished.wrong, finished.restored) == ([], [])
    assert box.shell("git status --short; git branch --show-current") == "other\n"


def test_work_comes_back_from_the_last_commit(box: AgentBox) -> None:
    """And with it the words that are in no commit."""
    after(box, "rm -rf /workspace/*")
    assert box.read("/workspace/train.py") == "print('better')\n"
    assert box.read("/workspace/experiments.csv") == "trial,val_bpb\n"
    assert box.read("/workspace/STATUS.md") == "best so far: 1.2\n"


def test_without_git_the_run_goes_on_from_its_beginning(box: AgentBox) -> None:
    """The files are those that the runner put there, and the loss of the history is said."""
    finished = after(box, "rm -rf /workspace/* /workspace/.[!.]*")
    assert "history is lost" in " ".join(finished.wrong)
    assert box.read("/workspace/train.py") == FILES["train.py"].decode()
    assert box.shell("git branch --show-current; git status --short") == (
        f"bakeoff/{box.run_id}\n?? STATUS.md\n?? experiments.csv\n"
    )


def test_nothing_is_written_through_a_link(box: AgentBox) -> None:
    """A link in the place of a folder or file leads nowhere, least of all to PID 1's stdout."""
    after(box, "rm train.py; ln -s /proc/1/fd/1 train.py; mv ~/.bakeoff/outbox ~/.bakeoff/o")
    assert box.read("/workspace/train.py") == "print('better')\n"
    assert box.shell("test -L train.py || echo file") == "file\n"


def test_a_broken_repository_does_not_end_a_container_that_comes_back(box: AgentBox) -> None:
    """A run is resumed after its agent broke git and its runner died."""
    box.begin("head -c 100 /dev/urandom > .git/index; touch .git/index.lock; echo done > done")
    box.end()
    box.engine.kill(box.container)
    box.exited()
    box.come_back()
    box.engine.start(box.container)
    box.start()
    assert box.shell(STILL_WORKS) == "works\n"
    assert after(box, "rm train.py").restored == ["/workspace/train.py, from the last commit"]


def test_a_history_is_kept_when_its_head_is_cut_short(box: AgentBox) -> None:
    """A turn that ends between an orphan's checkout and its commit loses no branch."""
    commit = box.shell("git rev-parse HEAD").strip()
    finished = after(box, "git checkout -q --orphan clean")
    assert finished.restored
    assert box.shell("git rev-parse HEAD").strip() == commit
    assert after(box, "true").wrong == []


@pytest.mark.parametrize("place", ["/workspace/.git/refs", "/workspace", "/tmp"])
def test_folders_without_a_bottom_end_nothing(box: AgentBox, place: str) -> None:
    """Deeper than Python goes into itself: the turn is told of, and the container starts again."""
    box.begin(DEEP.format(place=place) + "; cat /dev/zero > /tmp/big")
    assert box.end()[0].turn > 0
    assert box.shell("echo works") == "works\n"


def test_nothing_that_a_look_starts_outlives_it(box: AgentBox) -> None:
    """A login shell's files and git's filters are the agent's own programs."""
    finished = after(
        box,
        "echo '(setsid sleep 300 &)' > ~/.bash_profile;"
        " git config filter.f.clean 'setsid sleep 300 > /dev/null & cat';"
        " echo '*.py filter=f' > .gitattributes; touch train.py",
    )
    assert finished.exit_code == 0
    client = docker.from_env()
    running = client.containers.get(box.container).top()["Processes"]
    client.close()
    assert "sleep 300" not in str(running)
