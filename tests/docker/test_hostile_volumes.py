"""What an agent may do to its own volumes: it costs it a trial or a file, and never the run.

The engine reads what lies there, and PID 1 must start on it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.collect.artifacts import Collector
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir, volume_name
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import Refusal, SubmissionReader
from runner.wire.messages import Problem, Stop, Stopped, TrialAccepted, TrialRequested
from tests.docker.agent_box import AgentBox, agent_box

BASE = "bakeoff/base:0.1.0"
STATE = "/home/agent/.bakeoff"
DEEP = "import os\nfor _ in range(3000):\n os.mkdir('d')\n os.chdir('d')\n"
LONG = "import os; os.symlink('\\x01' * 4000, os.environ['N'])"
SOCKET = "import os, socket; socket.socket(socket.AF_UNIX).bind(os.environ['N'])"

# How the free name $N in the folder at hand becomes something that nobody expects there.
MADE = {
    "a link to itself": "ln -s $N $N",
    "a loop of links": "rm -f other; ln -s other $N; ln -s $N other",
    "a link to nothing": "ln -s /nowhere/at/all $N",
    "a link to a folder": "ln -s /etc $N",
    "a link to a device": "ln -s /dev/zero $N",
    "a link into PID 1": "ln -s /proc/1/root $N",
    "a link of 4000 characters": f'python3 -c "{LONG}"',
    "a file": "echo x > $N",
    "a file that nobody may read": "echo x > $N; chmod 000 $N",
    "a file of terabytes": "truncate -s 4T $N",
    "a pipe": "mkfifo $N",
    "a socket": f'python3 -c "{SOCKET}"',
    "a folder": "mkdir -p $N/deeper/still",
    "a folder that nobody may read": "mkdir $N; chmod 000 $N",
    "a very deep folder": f'mkdir $N; (cd $N; python3 -c "{DEEP}")',
    "a folder of any names": r"mkdir $N; touch $N/$'\xff\n' $N/$'\x01' $N/-rf",
}
MENAGERIE = "\n".join(
    f"export N=$(printf %02d {number}); {how}" for number, how in enumerate(MADE.values())
)


@pytest.fixture
def box(engine: Engine) -> Iterator[AgentBox]:
    """A container of its own."""
    with agent_box(engine) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def menagerie(engine: Engine) -> Iterator[AgentBox]:
    """A container in which everything of `MADE` lies in /workspace/zoo, by its number."""
    with agent_box(engine) as made:
        made.start()
        made.shell(f"mkdir zoo; cd zoo\n{MENAGERIE}\n[ $(ls | wc -l) -gt {len(MADE)} ]")
        yield made


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def reader_of(engine: Engine, run_dir: RunDir) -> SubmissionReader:
    return SubmissionReader(engine, run_dir, Ledger(run_dir, VAL_BPB), "DEPTH = 4\n", "agent")


def restart(box: AgentBox) -> None:
    """Begin again on the same volumes, as a run that is resumed does."""
    box.engine.kill(box.container)
    box.exited()
    box.come_back()
    box.engine.start(box.container)
    box.start()


def keep_mounted(box: AgentBox) -> None:
    """Have another container use the box's home: one in memory is empty after its last user."""
    name, home = f"bakeoff-{box.run_id}-keeper", volume_name(box.run_id, "home")
    mounts = (Mount(home, "/home/agent"),)
    command = ["sleep", "600"]
    box.engine.start(
        box.engine.create(
            ContainerSpec(name, BASE, box.run_id, "keeper", command=command, mounts=mounts)
        )
    )


def ask_for_a_trial(box: AgentBox, run_dir: RunDir) -> TrialOrder | Refusal:
    """What becomes of an honest request."""
    box.begin("trial --detach --hypothesis honest")
    request = box.wait_for(TrialRequested)
    order = reader_of(box.engine, run_dir).order(box.container, request, 1)
    box.send(TrialAccepted(request.request, 1))
    finished, printed = box.end()
    assert finished.exit_code == 0, printed
    return order


@pytest.mark.parametrize("below", ["", "/train.py"])
@pytest.mark.parametrize("case", MADE)
def test_a_request_for_anything_is_refused(
    menagerie: AgentBox, run_dir: RunDir, case: str, below: str
) -> None:
    """Whatever lies where a train.py should, or on the way to it, and whatever its name is."""
    path = f"/workspace/zoo/{list(MADE).index(case):02}{below}"
    request = TrialRequested("r-1", sha256="0" * 64, path=path)
    assert isinstance(
        reader_of(menagerie.engine, run_dir).order(menagerie.container, request, 1), Refusal
    )


def test_the_collector_tells_once_of_what_it_cannot_read(box: AgentBox, run_dir: RunDir) -> None:
    """It goes on looking, keeps what it has, and takes the file when it is one again."""
    journal = Journal(run_dir)
    collector = Collector(box.engine, run_dir, journal, box.container)
    box.begin(
        "await() { until [ -e $1 ]; do sleep 0.05; done; };"
        " echo good > experiments.csv; ln -s STATUS.md STATUS.md; echo 1 > one; await two;"
        " rm experiments.csv; ln -s experiments.csv experiments.csv; echo 1 > three; await four;"
        " rm experiments.csv; echo better > experiments.csv"
    )
    box.wait_for_file("/workspace/one")
    collector.poll()
    box.engine.put_files(box.container, "/workspace", {"two": b""})
    box.wait_for_file("/workspace/three")
    for _ in range(3):
        collector.poll()
    collector.finish()
    assert run_dir.experiments.read_text() == "good\n"
    said = [e.fields["path"] for e in journal.events() if e.event == "artifact.unreadable"]
    assert sorted(said) == ["/workspace/STATUS.md", "/workspace/experiments.csv"]
    box.engine.put_files(box.container, "/workspace", {"four": b""})
    box.end_of_turn()
    collector.poll()
    assert run_dir.experiments.read_text() == "better\n"


def test_a_file_that_changes_while_it_is_read_breaks_nothing(
    box: AgentBox, run_dir: RunDir
) -> None:
    """It shrinks, grows and vanishes; the collector goes on, and takes what is there in the end."""
    collector = Collector(box.engine, run_dir, Journal(run_dir), box.container)
    box.begin(
        "head -c 3000000 /dev/zero | tr '\\0' a > whole; until [ -e done ]; do"
        " cp whole experiments.csv; truncate -s 10 experiments.csv; rm experiments.csv; done"
    )
    box.wait_for_file("/workspace/whole")
    for _ in range(30):
        collector.poll()
    box.engine.put_files(box.container, "/workspace", {"done": b""})
    box.end()
    if run_dir.experiments.exists():
        assert set(run_dir.experiments.read_text()) <= {"a"}
    box.engine.put_files(box.container, "/workspace", {"experiments.csv": b"the last one"})
    collector.finish()
    assert run_dir.experiments.read_text() == "the last one"


SPOILT = {
    **{f"outbox: {case}": f"cd {STATE}; rm -rf outbox; N=outbox; {MADE[case]}" for case in MADE},
    "all its state: links": f"cd ~; rm -rf {STATE}; ln -s .bakeoff .bakeoff",
    "all its state: a pipe": f"rm -rf {STATE}; mkfifo {STATE}",
    "all its state: a link out": "cd ~; mv .bakeoff x; ln -s x .bakeoff; ln -s y x/outbox || true",
    "trials and the bundle": f"cd {STATE}; rm -rf trials; ln -s trials trials;"
    " mkdir -p repo.bundle/x; mkfifo repo.bundle.lock",
    "its home is shut": "mkdir -p ~/.bakeoff/trials; chmod 000 ~/.bakeoff/* ~/.bakeoff ~",
    "its home is read-only": "chmod 555 ~/.bakeoff/outbox ~/.bakeoff ~",
    "the workspace is shut": "chmod 000 /workspace",
    "no repository": "rm -rf .git; mkfifo pipe; touch shut; chmod 000 shut",
    "a repository that is a pipe": "rm -rf .git; mkfifo .git",
    "a repository that is a loop": "rm -rf .git; ln -s .git .git",
    "a head that is a pipe": "rm .git/HEAD; mkfifo .git/HEAD",
    "a configuration that is a pipe": "rm .git/config; mkfifo .git/config",
    "an endless file and no repository": "rm -rf .git; truncate -s 1T endless",
    "modules of its own for PID 1": "d=$(python3 -c 'import site;"
    " print(site.getusersitepackages())'); mkdir -p $d;"
    " echo 'import os; os._exit(3)' > $d/usercustomize.py; cp $d/usercustomize.py $d/x.pth",
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_a_run_can_be_resumed_whatever_the_agent_did(
    box: AgentBox, run_dir: RunDir, case: str
) -> None:
    """PID 1 starts again, a turn runs, an honest trial is taken, and the end comes in time."""
    box.begin(f"export N\n{SPOILT[case]}")
    assert box.end_of_turn().exit_code == 0
    restart(box)
    assert isinstance(ask_for_a_trial(box, run_dir), TrialOrder)
    box.send(Stop("the test is over", 0))
    assert box.wait_for(Stopped, 60).reason == "stop"
    assert box.exited().exit_code == 0


def test_the_end_packs_the_repository_over_whatever_is_there(box: AgentBox) -> None:
    """A folder in the bundle's place, its lock, and a link on the way are made way for."""
    box.begin("cd; mkdir -p y/repo.bundle/x y/repo.bundle.lock; rm -rf .bakeoff; ln -s y .bakeoff")
    box.end_of_turn()
    box.send(Stop("the test is over", 0))
    box.wait_for(Stopped, 60)
    assert not [message for message in box.messages if isinstance(message, Problem)]
    assert box.read(f"{STATE}/repo.bundle").startswith("# v")


def test_a_full_volume_costs_no_run(engine: Engine, run_dir: RunDir) -> None:
    """PID 1 starts where nothing can be written, turns run, and asking says that it is full."""
    with agent_box(engine, home_bytes=1 << 20) as box:
        box.start()
        keep_mounted(box)
        box.begin("rm -rf ~/.bakeoff; head -c 9000000 /dev/zero > ~/big")
        box.end_of_turn()
        restart(box)
        box.begin("trial --detach; echo code $? > /workspace/code")
        assert box.end_of_turn().exit_code == 0
        box.send(Stop("the test is over", 0))
        box.wait_for(Stopped, 60)
        assert box.exited().exit_code == 0
        assert box.read("/workspace/code") == "code 2\n"
