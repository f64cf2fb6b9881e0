"""The long-lived containers of a run: which image, what `start` tells it, which volumes.

The one place that knows what each image's `start.config` holds (docs/architecture.md).
"""

from __future__ import annotations

from typing import Any

from runner.agents import Agent, instructions
from runner.errors import HostError
from runner.layout import ROOT
from runner.sandbox import Part
from runner.spec import RunSpec, Task, load_space, prices
from runner.stage import Stage

PROVIDER_URLS = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com",
    "google": "https://generativelanguage.googleapis.com",
}
UPSTREAM_SOCKET = "unix:///run/upstream/model.sock"
NOT_IN_THE_COPY = {"__init__.py", "constants.py", "train.py"}  # the last comes with its knobs


def parts(stage: Stage) -> list[Part]:
    """The long-lived containers of this run, the contestant last."""
    if stage.spec.kind == "baseline":
        return [_optimizer(stage)]
    agent = stage.agent()
    rehearsal = [_rehearsal(stage, agent)] if stage.spec.rehearsed else []
    return [*rehearsal, _gateway(stage, agent), _contestant(stage, agent)]


def _optimizer(stage: Stage) -> Part:
    space = {name: knob.model_dump() for name, knob in load_space(stage.task).items()}
    config = {
        "sampler": stage.spec.contestant,
        "seed": stage.spec.seed,
        "space": space,
        "parallel": 1,
        "deadline_seconds": stage.deadline_seconds,
    }
    return Part("optimizer", stage.image("optimizer"), config, {"study": ("/state", False)})


def _rehearsal(stage: Stage, agent: Agent) -> Part:
    config: dict[str, Any] = {
        "provider": agent.spec.provider,
        "seed": stage.spec.seed,
        "api_key": _secret(stage.spec),
        "trial_plan": [],
        "deadline_seconds": stage.deadline_seconds,
    }
    return Part(
        "rehearsal", stage.image("rehearsal"), config, {"upstream": ("/run/upstream", False)}
    )


def _gateway(stage: Stage, agent: Agent) -> Part:
    spec = stage.spec
    own = spec.base_url or PROVIDER_URLS[agent.spec.provider]
    config = {
        "provider": agent.spec.provider,
        "base_url": UPSTREAM_SOCKET if spec.rehearsed else own,
        "api_key": _secret(spec),
        "token": stage.token,
        "models": list(agent.spec.models),
        "prices": {
            model: price.model_dump(exclude_none=True)
            for model, price in prices().items()
            if model in agent.spec.models
        },
        "caps": {"usd": spec.budget.usd, "tokens": spec.budget.tokens, "requests": None},
        "allow_unpriced": spec.allow_unpriced,
        "rehearsed": spec.rehearsed,
        "record": spec.record,
        "deadline_seconds": stage.deadline_seconds,
    }
    volumes = {"gateway": ("/run/gateway", False), "ledger": ("/state", False)}
    if spec.rehearsed:
        volumes["upstream"] = ("/run/upstream", True)
    network = "none" if spec.rehearsed else "bridge"
    return Part("gateway", stage.image("gateway"), config, volumes, network=network)


def _contestant(stage: Stage, agent: Agent) -> Part:
    spec = stage.spec
    config = {
        "run_id": spec.run_id,
        "branch": f"bakeoff/{spec.run_id}",
        "deadline_seconds": stage.deadline_seconds,
    }
    volumes = {
        "workspace": ("/workspace", False),
        "home": ("/home/agent", False),
        "gateway": ("/run/gateway", True),
    }
    files = {} if stage.resumed else {"/workspace": repo_copy(stage.pristine, stage.task, agent)}
    return Part("agent", stage.image(f"agent-{agent.spec.cli}"), config, volumes, files)


def repo_copy(train_py: str, task: Task, agent: Agent) -> dict[str, bytes]:
    """What an agent finds in its repository: name → content."""
    folder = ROOT / "trainer"
    fixed = {path.name for path in folder.glob("*.py")} - NOT_IN_THE_COPY
    names = ["program.md", f"tasks/{task.name}.toml", *sorted(fixed)]
    return {
        "train.py": train_py.encode(),
        agent.cli.instructions_file: instructions(),
        **{name: (folder / name).read_bytes() for name in names},
    }


def _secret(spec: RunSpec) -> str:
    if spec.api_key is None:
        raise HostError(f"opening the gateway of {spec.run_id}: its spec came without a key")
    return spec.api_key.get_secret_value()
