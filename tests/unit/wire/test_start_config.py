"""The configs of `start`: what one end writes the other reads, and nothing else is accepted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.configs import StartConfig, as_config, known_config
from runner.wire.config_reader import ConfigError, read_config
from runner.wire.messages import MESSAGES, VERSION, Start
from runner.wire.model_config import ModelConfig
from runner.wire.protocol import MAX_LINE_BYTES, decode, encode, pack_text, unpack_text
from runner.wire.start_config import (
    AgentConfig,
    Caps,
    Condition,
    GatewayConfig,
    JudgeConfig,
    KnobRange,
    Limits,
    OptimizerConfig,
    PriceOverride,
    RehearsalConfig,
    RelayConfig,
    SharedStudy,
    TrialConfig,
)

KEY = "sk-the-only-copy"
AGENT = AgentConfig("gpt-s1", "bakeoff/gpt-s1", 300.0, "val_bpb", "minimize")
OPTIMIZER = OptimizerConfig(
    sampler="tpe",
    seed=1,
    space={
        "DEPTH": KnobRange("int", 4, low=2.0, high=8.0),
        "MATRIX_LR": KnobRange("float", 0.04, low=0.005, high=0.2, log=True),
        "WINDOW_PATTERN": KnobRange(
            "categorical", "L", choices=("L", "SSSL"), when=Condition("DEPTH", (4, 8))
        ),
    },
    deadline_seconds=300.0,
    direction="minimize",
    parallel=2,
)
SHARED = dataclasses.replace(
    OPTIMIZER, shared=SharedStudy("night-3", "tpe-s1", "val_bpb", "bakeoff", KEY, "studies")
)
RELAY = RelayConfig("192.0.2.1", 5432, "prefer", 300.0)
GATEWAY = GatewayConfig(
    provider="openai",
    base_url="https://host.invalid",
    api_key=KEY,
    token="token",
    models=("gpt-5.4",),
    deadline_seconds=0.5,
    prices={"gpt-5.4": PriceOverride(1.25, 10.0, cached_read=0.125)},
    caps=Caps(usd=2.5, tokens=10**9),
    record=True,
    limits=Limits(concurrency=3, body_bytes=1024),
)
TOOLS = ({"shell": {"tool": "Bash", "arguments": {"command": "$command"}}},)
REHEARSAL = RehearsalConfig("anthropic", 7, KEY, 300.0, TOOLS, ("baseline", "crash"))
TRIAL = TrialConfig(pack_text("print(1)\n"), 2.0, 30.0, 1 << 20, 1, 60.0)
JUDGE = JudgeConfig(60.0, 49152, 6144, 2, "cpu-0123")
CONFIGS = [AGENT, OPTIMIZER, SHARED, RELAY, GATEWAY, REHEARSAL, TRIAL, JUDGE]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


def over_the_wire(config: StartConfig) -> dict[str, Any]:
    """The config as it arrives in a container."""
    message = decode(encode(Start(as_config(config))), MESSAGES)
    assert isinstance(message, Start)
    return message.config


def name_of(config: object) -> str:
    return type(config).__name__


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_config_comes_back_as_it_was_sent(config: StartConfig) -> None:
    """Through a message and back, each config is equal to what the runner built."""
    assert read_config(type(config), over_the_wire(config)) == config


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_fields_that_may_be_left_out_have_their_defaults(config: StartConfig) -> None:
    """What has a default may be absent; what has none is named when it is."""
    given = over_the_wire(config)
    for field in dataclasses.fields(config):
        rest = {name: value for name, value in given.items() if name != field.name}
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            with pytest.raises(ConfigError, match=f"^{field.name} is missing$"):
                read_config(type(config), rest)
        else:
            read_config(type(config), rest)


@pytest.mark.parametrize("config", [GATEWAY, REHEARSAL, SHARED], ids=name_of)
def test_no_repr_shows_a_secret(config: StartConfig) -> None:
    """A config in a log line or a traceback tells neither key nor token."""
    assert KEY not in repr(config)
    assert "token" not in repr(config).replace("tokens", "")


@pytest.mark.parametrize(
    ("config", "wrong", "complaint"),
    [
        (AGENT, {"never_heard_of": 1}, "never_heard_of is no field of AgentConfig"),
        (AGENT, {"branch": None}, "branch must be of type str"),
        (AGENT, {"deadline_seconds": "soon"}, "deadline_seconds must be of type float"),
        (AGENT, {"deadline_seconds": True}, "deadline_seconds must be of type float"),
        (AGENT, {"deadline_seconds": 0}, "deadline_seconds must be above 0"),
        (AGENT, {"deadline_seconds": float("nan")}, "deadline_seconds must be a finite number"),
        (AGENT, {"deadline_seconds": 10**400}, "deadline_seconds must be a finite number"),
        (OPTIMIZER, {"seed": None}, "seed must be of type int"),
        (OPTIMIZER, {"seed": 1.0}, "seed must be of type int"),
        (OPTIMIZER, {"seed": -1}, "seed must be at least 0"),
        (OPTIMIZER, {"direction": "down"}, "direction must be one of minimize, maximize"),
        (OPTIMIZER, {"parallel": 0}, "parallel must be at least 1"),
        (OPTIMIZER, {"space": []}, "space must be a table"),
        (OPTIMIZER, {"space": {"DEPTH": 4}}, "space.DEPTH must be a table"),
        (GATEWAY, {"provider": KEY}, "provider must be one of anthropic, openai, google"),
        (GATEWAY, {"provider": ["openai"]}, "provider must be one of anthropic, openai, google"),
        (GATEWAY, {"models": "gpt-5.4"}, "models must be a list"),
        (GATEWAY, {"models": ["gpt-5.4", 5]}, "models.1 must be of type str"),
        (GATEWAY, {"caps": {"usd": KEY}}, "caps.usd must be of type float"),
        (GATEWAY, {"caps": {"usd": -1}}, "caps.usd must be at least 0"),
        (GATEWAY, {"caps": {"euros": 1}}, "caps.euros is no field of Caps"),
        (GATEWAY, {"prices": {"m": {"input": 1}}}, "prices.m.output is missing"),
        (GATEWAY, {"record": 1}, "record must be of type bool"),
        (REHEARSAL, {"api_key": 5}, "api_key must be of type str"),
        (REHEARSAL, {"trial_plan": "baseline"}, "trial_plan must be a list"),
        (TRIAL, {"limit_seconds": "soon"}, "limit_seconds must be of type float"),
        (TRIAL, {"train_py": "print(1)"}, "train_py is no field of TrialConfig"),
        (TRIAL, {"threads": 0}, "threads must be at least 1"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_quoted(
    config: StartConfig, wrong: dict[str, Any], complaint: str
) -> None:
    """One error names the field and what it must be; no value is in it."""
    with pytest.raises(ConfigError) as caught:
        read_config(type(config), over_the_wire(config) | wrong)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("knob", "complaint"),
    [
        ({"type": "integer", "default": 1}, "type must be one of int, float, categorical"),
        ({"type": "int", "default": 1, "lo": 3}, "lo is no field of KnobRange"),
        ({"type": "int"}, "default is missing"),
        ({"type": "int", "default": [1]}, "default must be one of the types bool, int, float, str"),
        ({"type": "float", "default": 1, "high": "0.2"}, "high must be of type float"),
    ],
)
def test_a_knob_that_makes_no_sense_is_named(knob: dict[str, Any], complaint: str) -> None:
    """The error of a whole space says which knob and which field of it."""
    with pytest.raises(ConfigError) as caught:
        read_config(OptimizerConfig, over_the_wire(OPTIMIZER) | {"space": {"DEPTH": knob}})
    assert str(caught.value) == f"space.DEPTH.{complaint}"


@given(
    st.sampled_from(CONFIGS),
    st.dictionaries(st.sampled_from(["seed", "models", "caps", "space", "prices", "x"]), JSON),
)
def test_no_json_breaks_the_reader(config: StartConfig, extra: dict[str, Any]) -> None:
    """Any JSON in any field is read or refused with a ConfigError, and with nothing else."""
    with contextlib.suppress(ConfigError):
        assert read_config(type(config), over_the_wire(config) | extra)


@pytest.mark.parametrize(("given", "read"), [(4, 4.0), (0.5, 0.5), (None, None)])
def test_a_whole_number_is_taken_where_a_float_is_wanted(
    given: float | None, read: float | None
) -> None:
    """JSON writes 4 for 4.0; a limit that may be absent may be null."""
    low = read_config(KnobRange, {"type": "float", "default": 5, "low": given}).low
    assert low == read
    assert type(low) is type(read)


def test_a_knobs_values_keep_their_own_type() -> None:
    """4, 4.0, true and "4" are four different choices."""
    choices = [4, 4.5, True, "4"]
    knob = read_config(KnobRange, {"type": "categorical", "default": 4, "choices": choices})
    assert knob.choices == tuple(choices)
    assert [type(value) for value in knob.choices] == [int, float, bool, str]


@given(st.text(max_size=300))
def test_a_text_comes_back_as_it_was_packed(text: str) -> None:
    """Any text that UTF-8 can hold; packed, it is plain ASCII."""
    assert unpack_text(pack_text(text), 2000) == text.encode()
    assert pack_text(text).isascii()


@pytest.mark.parametrize(
    "packed",
    [
        "no base64!",
        "bm8gemxpYg==",
        "é",
        pack_text("print(1)\n" * 9)[:-8],
        pack_text(" " * (4 << 20)),
        "",
    ],
    ids=["no base64", "no zlib", "no ASCII", "cut", "of four megabytes", "empty"],
)
def test_a_text_that_is_not_packed_or_too_large_is_refused(packed: str) -> None:
    """It is refused without its content, and without being unpacked to its whole size."""
    with pytest.raises(ValueError, match=r"^the text is "):
        unpack_text(packed, 1 << 20)


def test_a_large_train_py_fits_in_one_message() -> None:
    """A text of a megabyte that looks like source code is sent in one line."""
    text = "".join(f"WEIGHT_{n} = {n * 7919 % 10007}\n" for n in range(20_000))
    line = encode(Start(as_config(dataclasses.replace(TRIAL, train_py_gz=pack_text(text)))))
    assert len(line) < MAX_LINE_BYTES
    assert json.loads(line)["config"]["threads"] == 1


def test_an_earlier_container_is_not_told_of_a_model() -> None:
    """It knows no field for one; what a later one is told comes back as it was."""
    asked = ModelConfig("warm", "openai", "gpt-5.4", KEY, "val_bpb", "pystdlib", 5.0, inner="gp")
    config = as_config(dataclasses.replace(OPTIMIZER, language_model=dataclasses.asdict(asked)))
    assert "language_model" not in known_config(config, 3)
    told = read_config(OptimizerConfig, known_config(config, 4))
    assert told.language_model is not None
    assert read_config(ModelConfig, told.language_model) == asked
    assert KEY not in repr(told)
    assert KEY not in repr(asked)


def test_an_earlier_gateway_is_not_told_which_addresses_it_may_call() -> None:
    """It calls any, and would refuse the field."""
    assert "private_ok" not in known_config({"private_ok": True, "provider": "openai"}, 4)
    assert known_config({"private_ok": True}, 5) == {"private_ok": True}


def test_an_earlier_container_is_not_told_of_conditions() -> None:
    """Nor does a run that it belongs to have any: the field is left out of each knob."""
    earlier = known_config(as_config(OPTIMIZER), 2)["space"]
    assert all("when" not in knob for knob in earlier.values())
    assert known_config(as_config(OPTIMIZER), VERSION) == as_config(OPTIMIZER)


def test_an_earlier_optimizer_is_told_what_it_knew() -> None:
    """Its images refuse any other field, and a run that began with them could not be resumed."""
    known = known_config(as_config(OPTIMIZER), 2)
    assert set(known) == {
        "sampler", "seed", "space", "deadline_seconds", "direction", "parallel",
    }  # fmt: skip
    fields = {"type", "default", "low", "high", "log", "step", "choices"}
    assert all(set(knob) == fields for knob in known["space"].values())
