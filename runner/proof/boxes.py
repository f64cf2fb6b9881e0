"""The containers that every run has, as they would be opened on this machine."""

from __future__ import annotations

import secrets

from runner.build.agent_images import cli_names
from runner.build.images import image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.limits import limits
from runner.options.asked import RunOptions
from runner.records.layout import ROOT, container_name, volume_name
from runner.task_data import heldout_volume, volume_of
from runner.tasks import load_task
from runner.wire.judge_terms import JUDGE_FOLDER

WORKSPACE, HOME, STATE = "/workspace", "/home/agent", "/state"
GATEWAY = "/run/gateway"


def roles() -> list[str]:
    """The names of all boxes: of an agent there is one for each CLI."""
    return [*(f"agent-{cli}" for cli in cli_names(ROOT)), "optimizer", "trial", "judge", "gateway"]


def boxes_of_this_machine(engine: Engine, runtime: str | None = None) -> dict[str, ContainerSpec]:
    """The boxes by name, under a run's id of their own.

    A trial and the judge mount the default task's data where it is prepared already.

    Args:
        engine: where they would be opened.
        runtime: that of the contestant, its trials and the judge; None for the engine's own.

    Raises:
        EngineError: the engine failed.
    """
    run_id = f"proof-{secrets.token_hex(4)}"
    machine = engine.info()
    data = volume_of(load_task(RunOptions().task), [])
    there = {volume.name for volume in engine.volumes()}
    held_out = [Mount(heldout_volume(data), "/heldout", True)] if data in there else []
    rows = [Mount(data, "/data", True)] if data in there else []

    def own(purpose: str, target: str, read_only: bool = False) -> Mount:
        return Mount(volume_name(run_id, purpose), target, read_only)

    def box(
        name: str, role: str, image: str, *mounts: Mount, network: str = "none"
    ) -> ContainerSpec:
        return ContainerSpec(
            name=container_name(run_id, name), image=image_tag(image), run_id=run_id, role=role,
            mounts=mounts, network=network, runtime=None if role == "gateway" else runtime,
            **lockdown.sizes(limits()[role], machine),
        )  # fmt: skip

    agent = (own("workspace", WORKSPACE), own("home", HOME), own("gateway", GATEWAY, True))
    judge = own("judge", JUDGE_FOLDER)
    agents = {
        f"agent-{cli}": box(f"agent-{cli}", "agent", f"agent-{cli}", *agent)
        for cli in cli_names(ROOT)
    }
    return {
        **agents,
        "optimizer": box("optimizer", "optimizer", "optimizer", own("study", STATE)),
        "trial": box("trial", "trial", "trainer", *rows, own("judge", JUDGE_FOLDER, True)),
        "judge": box("judge", "judge", "trainer", judge, *held_out),
        "gateway": box(
            "gateway", "gateway", "gateway", own("gateway", GATEWAY), own("ledger", STATE),
            network=lockdown.OWN_NETWORK,
        ),
    }  # fmt: skip
