"""What a program in a container can do to the kernel, to PID 1 and to the transcript: the least."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.build import images
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.wire.messages import Stopped

from . import kernel_answers
from .agent_box import AgentBox, agent_box
from .trial_rig import BLOCK, FOREVER, SCORED, TrialRig

PROBE = Path(kernel_answers.__file__).read_text()

# Calls that nobody may make at all.
NEVER = (
    "acct", "add_key", "bpf", "chroot", "fanotify_init", "fanotify_mark", "fsopen", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp", "kexec_load", "keyctl",
    "mount", "move_mount", "name_to_handle_at", "open_by_handle_at", "open_tree",
    "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_mrelease",
    "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sethostname", "setns", "settimeofday", "swapon",
    "syslog", "umount2", "unshare", "userfaultfd",
)  # fmt: skip
SPACES = {  # linux/sched.h
    "CLONE_NEWNS": 0x20000, "CLONE_NEWCGROUP": 0x2000000, "CLONE_NEWUTS": 0x4000000,
    "CLONE_NEWIPC": 0x8000000, "CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000,
}  # fmt: skip
STREAM, DATAGRAM, RAW = 1, 2, 3
# Sockets that nobody may make: family, type, protocol (linux/socket.h, linux/in.h).
NO_SOCKETS = {
    "packet": (17, RAW, 0), "rds": (21, 5, 0), "can": (29, RAW, 1), "tipc": (30, STREAM, 0),
    "bluetooth": (31, RAW, 1), "alg": (38, 5, 0), "nfc": (39, STREAM, 0), "vsock": (40, STREAM, 0),
    "kcm": (41, DATAGRAM, 0), "smc": (43, STREAM, 0), "xdp": (44, RAW, 0),
    "vsock in the low half": ((1 << 32) + 40, STREAM, 0),
    "kobject events": (16, RAW, 15), "netfilter": (16, RAW, 12), "socket diagnosis": (16, RAW, 4),
    "icmp": (2, DATAGRAM, 1), "sctp": (2, STREAM, 132), "raw tcp": (2, RAW, 6), "dccp": (10, 6, 33),
    "sctp by its type": (2, 5, 0), "dccp by its type": (10, 6, 0),
}  # fmt: skip
SOCKETS = {
    "unix": (1, STREAM, 0), "tcp": (2, STREAM, 6), "udp": (2, DATAGRAM, 17), "ip": (2, STREAM, 0),
    "tcp over IPv6": (10, STREAM, 6), "interfaces": (16, RAW, 0),
}  # fmt: skip
# What would change PID 1 or all processes of the user, and its twin, which changes the caller.
TO_PID_1 = {
    "its limits": ("prlimit64:1,0,zeros", "prlimit64:0,4,zeros"),
    "its limits, to read": ("prlimit64:1,0,0,room", "prlimit64:0,0,0,room"),
    "its priority": ("setpriority:0,1,5", "setpriority:0,0,1"),
    "the priority of its group": ("setpriority:1,1,5", "setpriority:0,0,2"),
    "the priority of its user": ("setpriority:2,0,5", "setpriority:0,0,3"),
    "its cores": ("sched_setaffinity:1,8,ones", "sched_setaffinity:0,8,ones"),
    "its policy": ("sched_setscheduler:1,3,zeros", "sched_setscheduler:0,3,zeros"),
    "its parameters": ("sched_setparam:1,zeros", "sched_setparam:0,zeros"),
    "its input and output": ("ioprio_set:1,1,0x6000", "ioprio_set:1,0,0x6000"),
    "the input and output of its user": ("ioprio_set:3,1000,0x6000", "ioprio_set:1,0,0x6000"),
    "a made-up sender": ("pidfd_send_signal:fd,0,zeros", "pidfd_send_signal:fd,0,0"),
}
FILES_OF_PID_1 = (
    "oom_score_adj", "comm", "coredump_filter", "autogroup", "clear_refs", "timerslack_ns",
    "sched", "mem", "fd/0", "fd/1", "setgroups", "uid_map", "attr/current", "loginuid",
)  # fmt: skip
# Every signal, by each way; then SIGTERM again when no more signals may wait for this user, so that
# the kernel would forget who sent it.
SIGNAL_PID_1 = """
import ctypes, fcntl, os, platform, re, resource, signal, socket, time
libc = ctypes.CDLL(None)
tgkill = 234 if platform.machine() == "x86_64" else 131
def send(number):
    os.kill(1, number)
    libc.syscall(tgkill, 1, 1, number)
for number in signal.valid_signals():
    send(number)
for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
    ours, other = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, 1)
    fcntl.fcntl(ours, 10, number)  # F_SETSIG
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
    other.send(b"x")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
for _ in range(resource.getrlimit(resource.RLIMIT_SIGPENDING)[0] + 1):
    os.kill(os.getpid(), signal.SIGRTMIN)
for _ in range(100):  # signals to other containers of this user count, and come and go
    os.kill(os.getpid(), signal.SIGRTMIN)
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        send(number)
    status = open("/proc/self/status").read()
    waiting, most = map(int, re.search(r"SigQ:\\s(\\d+)/(\\d+)", status).groups())
    if waiting >= most:
        break
print("no more may wait:", waiting >= most, flush=True)
time.sleep(1)
"""
OPEN_ITS_OUTPUT = """
import errno, os, sys
for number in (1, 2):
    try:
        os.open(f"/proc/{sys.argv[1]}/fd/{number}", os.O_WRONLY)
        print("opened", number)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
CALL_OF_32_BITS = """
import ctypes, mmap, platform
if platform.machine() == "x86_64":
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    print("answered", ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""
WITH_RIGHTS = """
import os, stat
for folder, folders, files in os.walk("/"):
    folders[:] = [one for one in folders if not os.path.ismount(os.path.join(folder, one))]
    for path in (os.path.join(folder, name) for name in files):
        mode = os.lstat(path).st_mode
        capable = stat.S_ISREG(mode) and "security.capability" in os.listxattr(path)
        if stat.S_ISREG(mode) and (mode & 0o6000 or capable):
            print(path)
print("looked")
"""


@pytest.fixture(scope="module")
def box(engine: Engine) -> Iterator[AgentBox]:
    """An agent's container for all tests here: none of them may end it."""
    with agent_box(engine) as made:
        made.start()
        yield made


def answers(box: AgentBox, *calls: str) -> list[str]:
    """What the kernel answers to the calls, made by one process of the agent."""
    return box.shell(f"python3 - {' '.join(calls)} <<'END'\n{PROBE}\nEND").split()


def python(box: AgentBox, program: str) -> str:
    return box.shell(f"python3 - $$ <<'END'\n{program}\nEND")


def test_calls_that_no_program_of_ours_needs_are_refused(box: AgentBox) -> None:
    """Each answers EPERM; clone3, whose flags no filter sees, answers that it does not exist."""
    assert dict(zip(NEVER, answers(box, *NEVER), strict=True)) == dict.fromkeys(NEVER, "EPERM")
    assert answers(box, "clone3") == ["ENOSYS"]


def test_no_process_has_a_namespace_of_its_own(box: AgentBox) -> None:
    """Clone refuses each flag, and the user's namespaces are not to be had by any other call."""
    found = answers(box, *(f"clone:{flag}" for flag in SPACES.values()))
    assert dict(zip(SPACES, found, strict=True)) == dict.fromkeys(SPACES, "EPERM")


def test_sockets_are_of_four_families_alone(box: AgentBox) -> None:
    """Rare families and protocols are refused, those that programs use are not."""
    calls = [f"socket:{','.join(map(str, what))}" for what in NO_SOCKETS.values()]
    refused = dict(zip(NO_SOCKETS, answers(box, *calls), strict=True))
    assert refused == dict.fromkeys(NO_SOCKETS, "EPERM")
    calls = [f"socket:{','.join(map(str, what))}" for what in SOCKETS.values()]
    assert answers(box, *calls) == ["ok"] * len(SOCKETS)
    assert answers(box, "socketpair:40,1,0,room", "socketpair:1,1,0,room") == ["EPERM", "ok"]


def test_a_call_of_32_bits_ends_its_process(box: AgentBox) -> None:
    """The filter knows the native calls alone, and no call by another door."""
    assert "answered" not in box.shell(f"python3 - <<'END' || true\n{CALL_OF_32_BITS}\nEND")


def test_pid_1_cannot_be_changed_by_a_call(box: AgentBox) -> None:
    """Its limits, priority, cores and policy are its own; a process may change itself."""
    found = answers(box, *(attack for attack, _ in TO_PID_1.values()))
    assert dict(zip(TO_PID_1, found, strict=True)) == dict.fromkeys(TO_PID_1, "EPERM")
    twins = dict(zip(TO_PID_1, answers(box, *(twin for _, twin in TO_PID_1.values())), strict=True))
    assert twins == dict.fromkeys(TO_PID_1, "ok")


def test_pid_1_cannot_be_changed_by_a_file(box: AgentBox) -> None:
    """Its files in /proc belong to root, because it is not dumpable; one's own can be written."""
    script = "for f in {}; do echo 0 2>/dev/null >/proc/1/$f && echo $f; done; true"
    assert box.shell(script.format(" ".join(FILES_OF_PID_1))) == ""
    assert box.shell("echo 1000 >/proc/self/oom_score_adj && echo written") == "written\n"


def test_no_signal_by_any_way_ends_an_agent(box: AgentBox) -> None:
    """Not one whose sender the kernel leaves out, nor one that comes when no more may wait."""
    assert python(box, SIGNAL_PID_1) == "no more may wait: True\n"
    assert box.shell("echo alive") == "alive\n"
    assert not [message for message in box.messages if isinstance(message, Stopped)]


def test_limits_are_those_of_a_child(box: AgentBox) -> None:
    """No core file can be written, and fewer signals may wait than for PID 1."""
    script = "ulimit -Hc; ulimit -Hi; sed -n 's/^Max pending signals *//p' /proc/1/limits"
    core, own, of_pid_1, *_ = box.shell(script).split()
    assert core == "0"
    assert 0 < int(own) <= int(of_pid_1) // 2


def test_the_output_of_the_cli_cannot_be_opened_again(box: AgentBox) -> None:
    """A process beside the CLI finds a socket in /proc, which nobody can open."""
    assert python(box, OPEN_ITS_OUTPUT).split() == ["ENXIO", "ENXIO"]


def test_a_trial_that_signals_pid_1_ends_as_any_other(rig: TrialRig) -> None:
    """It is scored, and is not run a second time as if the host had ended it."""
    record = rig.run(SIGNAL_PID_1 + SCORED)
    assert (record.status, record.exit_code, rig.repeated) == ("ok", 0, []), record.reason


def test_a_trial_cannot_escape_its_limit_by_signals(rig: TrialRig) -> None:
    """Its time ends as it would have."""
    record = rig.run(f"import signal, os\nos.kill(1, signal.SIGALRM)\n{FOREVER}", limit_seconds=3.0)
    assert record.status == "timeout", record.reason


def test_a_trial_cannot_change_pid_1(rig: TrialRig) -> None:
    """What would end it, with a code as if from outside, is refused."""
    attack = "import resource\ntry:\n    resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))\n"
    record = rig.run(f"{attack}except PermissionError:\n    print('refused')\n{BLOCK}")
    assert "refused" in rig.lines
    assert (record.status, record.exit_code, rig.repeated) == ("crash", 0, []), record.reason


def test_no_image_has_a_program_with_rights(engine: Engine, run_id: str) -> None:
    """Neither setuid, nor setgid, nor with capabilities, as far as our user can look."""
    found = {}
    for name, spec in images.load_table().items():
        if not spec.for_tests:
            looked = ContainerSpec(
                f"bakeoff-{run_id}-{name}", spec.tag, run_id, "cleanup",
                entrypoint=["/usr/bin/python3", "-c", WITH_RIGHTS], command=[],
            )  # fmt: skip
            container = engine.create(looked)
            engine.start(container)
            assert engine.wait_exit(container, 120) is not None
            found[name] = b"".join(engine.logs(container)).decode().split()
    assert found == {name: ["looked"] for name in found}
    assert {"base", "trainer", "optimizer", "gateway"} <= set(found)
