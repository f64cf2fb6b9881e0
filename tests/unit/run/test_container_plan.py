"""Which containers a run has, what is journalled of the judge, and what a model may cost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from runner import options, samplers
from runner.build import inventory
from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.engine.lockdown import NO_NETWORK, OWN_NETWORK
from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.run.container_plan import caps_of, container_plans, journal_estimate
from runner.run.context import (
    TRAINS_ON,
    RunContext,
    image_names,
    open_context,
    versions,
)
from runner.spec import Budget, RunSpec
from runner.tasks import load_task
from runner.wire.config_reader import read_config
from runner.wire.messages import ScoreEstimated, Start
from runner.wire.model_config import ModelConfig
from runner.wire.protocol import MAX_LINE_BYTES, encode, unpack_text
from runner.wire.start_config import Caps
from tests.unit.options.rig import MODEL, keep_prompts


@pytest.mark.parametrize(
    ("fraction", "value", "fields"),
    [
        (0.25, 2.5, [{"trial": 7, "fraction": 0.25, "value": 2.5}]),
        (0.25, math.nan, []),
        (0.25, 1e301, []),
        (math.nan, 2.5, []),
        (-7.0, 2.5, []),
    ],
)
def test_an_estimate_that_can_be_is_journalled(
    run_dir: RunDir, fraction: float, value: float, fields: list[dict[str, float]]
) -> None:
    """What the metric cannot have, and a share that is none, are left out."""
    journal = Journal(run_dir)
    journal_estimate(
        journal, VAL_BPB, {"s-1": 7}.__getitem__, ScoreEstimated("s-1", fraction, value, 1.0)
    )
    assert [event.fields for event in journal.events()] == fields


def test_a_full_disk_ends_no_run_for_an_estimate(run_dir: RunDir) -> None:
    """The ledger will have it at the trial's end."""
    run_dir.events.symlink_to("/dev/full")
    journal_estimate(Journal(run_dir), VAL_BPB, lambda _: 7, ScoreEstimated("s-1", 0.5, 2.5, 1.0))
    assert run_dir.trials.exists() is False


@pytest.mark.parametrize(
    ("bounds", "caps"),
    [
        ({"hours": 1.0}, Caps()),
        ({"usd": 2.0, "tokens": 9}, Caps(usd=2.0, tokens=9)),
        ({"total_usd": 3.0}, Caps(usd=3.0)),
        ({"total_usd": 3.0, "usd": 2.0}, Caps(usd=2.0)),
        ({"total_usd": 1.0, "usd": 2.0}, Caps(usd=1.0)),
    ],
)
def test_a_model_may_cost_no_more_than_any_bound_of_dollars(
    bounds: dict[str, float], caps: Caps
) -> None:
    """Before any device was held, all of a common budget is there for the model."""
    assert caps_of(Budget(**bounds)) == caps  # type: ignore[arg-type]


class ImagesEngine(Engine):
    """An engine that has every image and nothing else."""

    def __init__(self) -> None:
        pass

    def info(self) -> EngineInfo:
        return EngineInfo("id", "27.0", cpus=2, memory_bytes=8 << 30, gpus=False)

    def image_digest(self, tag: str) -> str:
        return tag

    def image_labels(self, _tag: str) -> dict[str, str]:
        return {}


IMAGES = ("trainer", "optimizer", "relay", "gateway", "rehearsal", "agent-codex")


@pytest.mark.parametrize("rehearsal", [False, True])
def test_an_optimizer_reaches_its_model_through_the_gateway_alone(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rehearsal: bool
) -> None:
    """Only the gateway has the key and, unless it is rehearsed, a network."""
    keep_prompts(tmp_path / "prompts", monkeypatch)
    asked = options.RunOptions(model=MODEL, rehearsal=rehearsal, record=True, workers=2)
    budget = Budget(trials=1, usd=2, tokens=9)
    spec = options.baseline_run("centaur", asked, budget, {"ANTHROPIC_API_KEY": "sk-real"})
    context = context_of(spec, run_dir)
    plans = {plan.role: plan for plan in container_plans(context)}
    assert list(plans) == ["judge", *(["rehearsal"] if rehearsal else []), "gateway", "optimizer"]
    gateway, optimizer = plans["gateway"], plans["optimizer"]
    assert gateway.network == (NO_NETWORK if rehearsal else OWN_NETWORK)
    assert optimizer.network == NO_NETWORK
    assert not gateway.config["private_ok"]
    assert optimizer.volumes == {"study": ("/state", False), "gateway": ("/run/gateway", True)}
    told = {name: gateway.config[name] for name in ("provider", "models", "token", "record")}
    assert told == {
        "provider": "anthropic", "models": (MODEL,), "token": context.token, "record": True,
    }  # fmt: skip
    assert gateway.config["caps"] == {"usd": 2, "tokens": 9}
    assert gateway.config["orphan_seconds"] == 600
    assert ("sk-real" in str(gateway.config)) != rehearsal
    assert "sk-real" not in str(optimizer.config)
    if rehearsal:
        assert plans["rehearsal"].config["tools"] == ()
    assert sorted(image_names(spec)) == sorted(
        ["data", "gateway", "optimizer", "trainer", *(["rehearsal"] if rehearsal else [])]
    )


@pytest.mark.parametrize("name", samplers.load_methods())
def test_an_optimizer_is_told_its_model_and_its_method(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """With its prompts, and with train.py where the method reads it; all fits one line."""
    keep_prompts(tmp_path / "prompts", monkeypatch)
    asked = options.RunOptions(rehearsal=True, trial_seconds=5)
    context = context_of(options.baseline_run(name, asked, Budget(trials=1)), run_dir)
    config = container_plans(context)[-1].config
    assert len(encode(Start(dict(config)))) < MAX_LINE_BYTES
    assert config["sampler"] == name
    told = read_config(ModelConfig, config["language_model"])
    assert (told.method, told.provider, told.model) == (name, "anthropic", MODEL)
    assert (told.token, told.metric, told.task) == (context.token, "val_bpb", "pystdlib")
    assert (told.trial_seconds, told.machine) == (5, "2 processor cores")
    row = samplers.load_methods()[name]
    assert (told.inner, tuple(told.prompts)) == (row.inner, row.prompts)
    text = unpack_text(told.train_py_gz, 1 << 20) if told.train_py_gz else b""
    assert text.decode() == (context.pristine if name in ("llm-code", "llm-space") else "")


def test_a_resumed_optimizer_tells_its_model_what_the_run_began_on(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The engine has other cores now, and the prompts have to be the same."""
    keep_prompts(tmp_path / "prompts", monkeypatch)
    asked = options.RunOptions(rehearsal=True)
    spec = options.baseline_run("llm-knobs", asked, Budget(trials=1))
    context = context_of(spec, run_dir)
    monkeypatch.setattr(inventory, "installed", lambda *_: {})
    assert versions(spec, context.engine, "data")[TRAINS_ON] == "2 processor cores"
    began = context.spec.versions | {TRAINS_ON: "8 processor cores"}
    context = replace(context, spec=context.spec.model_copy(update={"versions": began}))
    config = container_plans(context)[-1].config
    assert read_config(ModelConfig, config["language_model"]).machine == "8 processor cores"


def context_of(spec: RunSpec, run_dir: RunDir) -> RunContext:
    """A run whose engine has every image."""
    names = {name: f"sha256:{name}" for name in IMAGES}
    known = spec.model_copy(update={"versions": {"images": names}})
    data = "bakeoff-data-pystdlib-0123"
    return open_context(
        known, ImagesEngine(), run_dir, load_task("pystdlib"), data, lambda *_: None
    )


@pytest.mark.parametrize("storage", [None, "postgresql://bakeoff@192.0.2.1:6432/studies"])
def test_an_optimizer_has_no_network_whatever_its_study_is_in(
    run_dir: RunDir, storage: str | None
) -> None:
    """The relay has one, and is told an address and no secret; only the optimizer has that."""
    asked = options.RunOptions(seed=184, storage=storage)
    spec = options.baseline_run("tpe", asked, Budget(trials=1), {"STORAGE_PASSWORD": "a-secret"})
    context = context_of(spec, run_dir)
    plans = {plan.role: plan for plan in container_plans(context)}
    optimizer = plans["optimizer"]
    assert optimizer.network == NO_NETWORK
    assert list(plans)[-1] == "optimizer"
    if storage is None:
        assert set(plans) == {"judge", "optimizer"}
        assert optimizer.config["shared"] is None
        assert "storage" not in optimizer.volumes
        return
    assert plans["relay"].network == OWN_NETWORK
    told = {name: plans["relay"].config[name] for name in ("host", "port", "sslmode")}
    assert told == {"host": "192.0.2.1", "port": 6432, "sslmode": "prefer"}
    assert "a-secret" not in str(plans["relay"].config)
    assert "a-secret" not in repr(plans)
    assert optimizer.config["shared"]["password"] == "a-secret"
    assert optimizer.volumes["storage"] == ("/run/storage", True)
    assert context.data_volume in optimizer.config["shared"]["compared"]
