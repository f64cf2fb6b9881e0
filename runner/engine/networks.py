"""The networks of containers that have one: each is its container's own, and ends with it.

Invariant: a network has the name of its container (`lockdown.own_network`) and the label of its
run, is made just before that container, and is removed just after it. So no two containers are
neighbours, and whatever a killed runner left is found by its run's label.

The attack that this stops: a container with a network that reaches another one, of its own run or
of another run. Docker forwards nothing between two of its bridges.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import docker.errors

from runner.engine.api import translated
from runner.engine.lockdown import NETWORK_SUFFIX
from runner.errors import EngineError
from runner.records.layout import LABEL_RUN

# Of the engine's refusal when all its ranges of addresses are taken, in old and new versions.
NO_RANGE_LEFT = ("non-overlapping", "fully subnetted")
# Longer than it takes to make a container after its network, on however busy a machine.
SETTLING_SECONDS = 20.0
BRIDGE = "bridge"  # the engine's own network, in which no container of ours is
MTU = "com.docker.network.driver.mtu"
NO_RANGE_HINT = (
    "the engine has no range of addresses left for a network: remove networks that nobody uses "
    "(`docker network prune`, `make clean-runs`), or give the engine more ranges with "
    "`default-address-pools` in its daemon.json"
)


class NetworkStore:
    """The part of `Engine` that deals with networks."""

    _api: Any  # docker-py's connection to the engine

    def make_network(self, name: str, run_id: str) -> None:
        """Make the network of a container that is about to be made. It has IPv4 alone.

        If the engine has no range of addresses left, networks without a container are removed
        first.

        Raises:
            EngineError: the engine refused, or has no range left.
        """
        self.remove_network(name)  # left by a runner that was killed
        try:
            self._create_network(name, run_id)
        except EngineError as error:
            if not _no_range_left(error):
                raise
            self.remove_unneeded_networks()
            try:
                self._create_network(name, run_id)
            except EngineError as again:
                again.hint = NO_RANGE_HINT if _no_range_left(again) else again.hint
                raise

    def remove_network(self, name: str) -> None:
        """Remove the network; a missing one is no error.

        Raises:
            EngineError: a container still uses it.
        """
        with translated(f"removing network {name}"), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_network(name)

    def networks(self, run_id: str | None = None) -> dict[str, str]:
        """All networks of ours, of one run or of all, as name → run id."""
        label = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        with translated("listing networks"):
            found = self._api.networks(filters={"label": label})
        return {body["Name"]: (body.get("Labels") or {}).get(LABEL_RUN, "") for body in found}

    def remove_unneeded_networks(self, settling_seconds: float = SETTLING_SECONDS) -> int:
        """Remove our networks whose container does not exist, now and a while later; how many.

        Args:
            settling_seconds: how long a network may wait for its container.
        """
        before = self._without_container()
        if not before:
            return 0
        time.sleep(settling_seconds)  # nothing says that a container will never come
        left = before & self._without_container()
        for name in left:
            self.remove_network(name)
        return len(left)

    def _without_container(self) -> set[str]:
        names = self.networks()
        with translated("listing containers"):
            found = self._api.containers(all=True, filters={"label": LABEL_RUN})
        there = {name.lstrip("/") for body in found for name in body["Names"] or ()}
        return {name for name in names if name.removesuffix(NETWORK_SUFFIX) not in there}

    def _create_network(self, name: str, run_id: str) -> None:
        with translated(f"creating network {name}"):
            self._api.create_network(
                name, driver="bridge", check_duplicate=True, enable_ipv6=False,
                labels={LABEL_RUN: run_id}, options=self._packet_size(),
            )  # fmt: skip

    def _packet_size(self) -> dict[str, str]:
        """The largest packet of the engine's own bridge, which its daemon.json may have set."""
        options = self._api.inspect_network(BRIDGE).get("Options") or {}
        return {MTU: str(options[MTU])} if options.get(MTU) else {}


def _no_range_left(error: EngineError) -> bool:
    return any(words in error.message for words in NO_RANGE_LEFT)
