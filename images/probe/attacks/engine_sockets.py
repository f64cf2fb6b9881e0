"""The sockets of engines and of the host's services, in all usual places.

The attack that this stops: whoever may speak to the engine owns the host.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import twins
from framework import Box, attack

PLACES = (
    "/var/run/docker.sock", "/run/docker.sock", "/run/docker.raw.sock", "/docker.sock",
    "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock",
    "/run/podman/podman.sock", "/run/user/1000/podman/podman.sock", "/run/user/1000/docker.sock",
    "/run/user/0/podman/podman.sock", "/run/crio/crio.sock", "/var/run/cri-dockerd.sock",
    "/run/buildkit/buildkitd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
    "/run/systemd/journal/socket", "/run/snapd.socket", "/run/libvirt/libvirt-sock",
    "/run/guest-services/docker.sock", "/run/host-services/docker.proxy.sock",
)  # fmt: skip
SEARCHED = ("/run", "/var/run", "/tmp", "/mnt", "/media", "/srv", "/host", "/workspace", "/state")
ENTRIES = 2000  # of one folder; more than any image has
ABSTRACT = ("\0docker", "\0containerd", "\0/containerd-shim")
OWN_SOCKETS = ("/run/gateway", "/run/judge", "/run/storage", "/run/upstream")
GPU_SOCKETS = ("/run/nvidia-",)  # of the driver's own services, which come with a GPU


def _finds_its_own(_box: Box) -> bool:
    """The search finds a socket that was made for it, and connects to it."""
    path = Path(f"/tmp/probe-{os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        found = any(one == str(path) for one in sockets_below("/tmp"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    path.unlink()
    return found


def sockets_below(top: str) -> list[str]:
    """The sockets in a folder and the folders below it, links not followed."""
    found, folders = [], [top]
    looked = 0
    while folders and looked < ENTRIES:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    looked += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file() and not entry.is_symlink() and is_socket(entry.path):
                        found.append(entry.path)
        except OSError:
            continue
    return found


def is_socket(path: str) -> bool:
    """Whether a path names a socket."""
    return Path(path).is_socket()


@attack("engine", "sockets in usual places", twin=_finds_its_own)
def usual_places(_box: Box) -> str:
    there = [path for path in PLACES if os.path.lexists(path)]
    return ", ".join(there)


@attack("engine", "sockets anywhere", twin=_finds_its_own)
def anywhere(box: Box) -> str:
    tops = dict.fromkeys(map(os.path.realpath, SEARCHED))  # /var/run is a link to /run
    found = [path for top in tops for path in sockets_below(top)]
    own = (*OWN_SOCKETS, *(GPU_SOCKETS if box.gpu else ()))
    return ", ".join(path for path in found if not path.startswith(own))


@attack("engine", "abstract sockets", twin=twins.unix_sockets)
def abstract(_box: Box) -> str:
    """Their names belong to a network namespace: those of the host are not to be seen."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    names = [line.split()[-1] for line in lines if line.split()[-1].startswith("@")]
    return ", ".join(names)
