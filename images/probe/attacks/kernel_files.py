"""Writes to what the kernel shows as files: /proc, /sys and control groups.

The attack that this stops: some of these files belong to the whole machine. Whoever writes the
core pattern or a release agent runs a program on the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import twins
from framework import Attack, Box, attack

# A file that is not there (a kernel without it, or gVisor) cannot be written either.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EIO, errno.EISDIR)
WRITES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/msgmax",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/fs/file-max",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/latency_stats",
    "/proc/irq/0/smp_affinity",
    "/proc/mtrr",
    "/proc/fs/xfs/stat",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/ksm/run",
    "/sys/kernel/debug/x",
    "/sys/kernel/security/apparmor/profile_remove",
    "/sys/fs/selinux/enforce",
    "/sys/module/kernel/parameters/panic",
    "/sys/power/state",
    "/sys/class/net/lo/mtu",
    "/sys/firmware/efi/efivars/x",
)
CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (
    "release_agent", "notify_on_release", "cgroup.procs", "tasks", "memory.limit_in_bytes",
    "memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpu.cfs_quota_us", "cpuset.cpus",
    "cgroup.subtree_control", "cgroup.freeze", "devices.allow", "cgroup.clone_children",
)  # fmt: skip
READS = ("/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/keys", "/proc/timer_list",
         "/proc/sched_debug", "/sys/firmware/acpi/tables/DSDT",
         "/proc/acpi/wakeup", "/proc/scsi/scsi")  # fmt: skip
PIECE_BYTES = 4096


def opened_for_writing(path: str) -> str:
    """Open a file for writing. Nothing is written: where a lock failed, the machine is the user's.

    Raises:
        OSError: it cannot be opened.
    """
    file = os.open(path, os.O_WRONLY)
    masked = stat.S_ISCHR(os.fstat(file).st_mode)  # the engine puts /dev/null in its place
    os.close(file)
    return "" if masked else f"{path} can be written"


def _write_of(path: str) -> Attack:
    return lambda _box: opened_for_writing(path)


for file_path in WRITES:
    attack("proc and sys", f"write {file_path}", twin=twins.write_tmp, also=ABSENT)(
        _write_of(file_path)
    )


@attack("proc and sys", "write files of control groups", twin=twins.write_tmp)
def cgroup_files(_box: Box) -> str:
    """Nothing is written to them: a limit that can be written is one that can grow."""
    written = []
    tops = [CGROUP, *(path for path in CGROUP.glob("*") if path.is_dir())]
    for path in (top / name for top in tops for name in CGROUP_FILES):
        with contextlib.suppress(OSError):
            opened_for_writing(str(path))
            written.append(str(path))
    return ", ".join(written)


@attack("proc and sys", "make a control group", twin=twins.write_tmp)
def new_cgroup(_box: Box) -> str:
    for top in (CGROUP, *CGROUP.glob("*")):
        with contextlib.suppress(OSError):
            (top / "probe").mkdir()
            (top / "probe").rmdir()
            return f"{top}/probe was made"
    return ""


@attack("proc and sys", "read the kernel's secrets", twin=twins.read_own_process)
def secrets(_box: Box) -> str:
    """Memory, log, keys and addresses of the kernel: masked files are empty, addresses zero."""
    found = []
    for path in READS:
        with contextlib.suppress(OSError):
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                content = os.read(file, PIECE_BYTES)
            finally:
                os.close(file)
            if content and content.split(None, 1)[0].strip(b"0"):
                found.append(path)
    return ", ".join(found)


@attack("proc and sys", "a writable file below /proc/sys", twin=twins.write_tmp, part="all")
def any_sysctl(_box: Box) -> str:
    return ", ".join(_writable_below("/proc/sys")[:20])


@attack("proc and sys", "a writable file below /sys", twin=twins.write_tmp, part="all")
def any_sys(_box: Box) -> str:
    return ", ".join(_writable_below("/sys")[:20])


def _writable_below(top: str) -> list[str]:
    """The files that can be opened for writing; links are not followed."""
    found = []
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                found.append(path)
    return found
