"""What a run may be asked to be: budgets, ids, tables, and errors that name the way out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from runner import limits, prices, spec, tasks
from runner.errors import UserError
from runner.limits import Limit
from runner.metrics import VAL_BPB
from runner.records.layout import ROOT
from runner.spec import Budget, RunSpec
from runner.wire.start_config import PriceOverride
from trainer import constants

NAMES = ("hours", "train_hours", "trials", "usd", "tokens", "total_usd")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, math.inf, -math.inf])
def test_a_budget_is_a_number_above_zero(name: str, value: float) -> None:
    """Zero, negative, NaN and endless budgets are refused by name."""
    with pytest.raises(UserError, match=name.upper()) as caught:
        spec.budget(**{name: value})
    assert "above 0" in caught.value.hint


def test_a_budget_of_nothing_is_refused() -> None:
    """A run that nothing would end is not begun; the hint lists what can bound it."""
    with pytest.raises(UserError, match="nothing bounds") as caught:
        spec.budget(hours=None, trials=None)
    for name in NAMES:
        assert name.upper() in caught.value.hint


@given(st.sampled_from(NAMES), st.integers(min_value=1, max_value=10**9))
def test_one_bound_is_enough(name: str, value: int) -> None:
    """Any single bound above zero makes a budget that has it and no other."""
    made = spec.budget(**{name: value}, compute_usd_per_hour=0).as_dict()
    assert made.pop(name) == value
    assert set(made.values()) == {None}


def test_dollars_of_devices_need_their_price() -> None:
    """The hint names the variable; a price by itself bounds nothing."""
    with pytest.raises(UserError, match="TOTAL_USD") as caught:
        spec.budget(total_usd=5, trials=3)
    assert "COMPUTE_USD_PER_HOUR" in caught.value.hint
    with pytest.raises(UserError, match="nothing bounds"):
        spec.budget(compute_usd_per_hour=2.5)


@pytest.mark.parametrize("price", [-0.01, math.nan, math.inf, "cheap"])
def test_a_price_of_devices_is_a_number_from_zero_on(price: float | str) -> None:
    """Anything else is refused by name; 0 is a price."""
    with pytest.raises(UserError, match="COMPUTE_USD_PER_HOUR") as caught:
        spec.budget(trials=1, compute_usd_per_hour=price)
    assert "0 or more" in caught.value.hint
    assert spec.budget(trials=1, compute_usd_per_hour=0.0).compute_usd(3600) == 0
    assert spec.budget(trials=1, compute_usd_per_hour=3.0).compute_usd(1800) == 1.5


def test_a_fraction_of_a_trial_is_refused() -> None:
    """Trials and tokens are whole numbers."""
    with pytest.raises(UserError, match="TRIALS"):
        spec.budget(trials=1.5)


@given(st.text(max_size=60))
def test_a_run_id_is_never_a_way_out_of_its_folder(name: str) -> None:
    """Whatever is taken for a run id is one plain file name."""
    try:
        taken = spec.check_run_id(name)
    except UserError:
        return
    assert taken == name
    assert "/" not in name
    assert name.strip(".") != ""
    assert name.isascii()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "A", "a b", "a\n", "x" * 49])
def test_what_is_no_run_id_is_refused(name: str) -> None:
    """Paths, options, capitals and endless names are no run ids."""
    with pytest.raises(UserError, match="not a run id"):
        spec.check_run_id(name)


def test_a_run_is_named_after_its_contestant_and_seed() -> None:
    """The id holds both, and a negative seed is refused before it could look like an option."""
    assert spec.check_run_id(spec.run_id("opus-1m", 0)) == "opus-1m-s0"
    with pytest.raises(UserError, match="SEED is -1"):
        spec.run_id("gpt", -1)


def test_an_unknown_task_names_the_nearest() -> None:
    """A typing error is answered with the right word and all others."""
    with pytest.raises(UserError, match="no task 'pystdlb'") as caught:
        tasks.load_task("pystdlb")
    assert "did you mean pystdlib?" in caught.value.hint
    for name in tasks.task_names():
        assert name in caught.value.hint


def test_a_task_is_no_path() -> None:
    """A name with a path in it is as unknown as any other."""
    with pytest.raises(UserError, match="no task"):
        tasks.load_task("../tasks/pystdlib")


@pytest.mark.parametrize("name", tasks.task_names())
def test_a_space_begins_at_the_tasks_own_train_py(name: str) -> None:
    """Every searched knob is a constant of train.py and its default is the task's, in range."""
    task = tasks.load_task(name)
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    pristine = constants.read(constants.rewrite(source, task.knobs))
    for knob_name, knob in tasks.load_space(task).items():
        assert knob.default == pristine[knob_name], knob_name
        if knob.type == "categorical":
            assert knob.default in (knob.choices or [])
        else:
            assert not isinstance(knob.default, str)
            assert knob.low is not None
            assert knob.high is not None
            assert knob.low <= knob.default <= knob.high, knob_name


def test_a_spec_on_disk_has_no_key() -> None:
    """The key is in no form of the spec that is written, printed or compared."""
    made = RunSpec(
        run_id="gpt-s1", kind="agent", contestant="gpt", seed=1, task="pystdlib", metric=VAL_BPB,
        budget=Budget(trials=1), trial_seconds=5, api_key=SecretStr("sk-very-secret"),
    )  # fmt: skip
    for form in (made.model_dump_json(), str(made.model_dump()), repr(made), str(made)):
        assert "very-secret" not in form
    assert RunSpec.model_validate_json(made.model_dump_json()).api_key is None


def test_a_spec_is_frozen_and_takes_no_unknown_field() -> None:
    """A file of another version that says more than is known is refused, not half read."""
    made = {"run_id": "x-s1", "kind": "agent", "contestant": "x", "seed": 1, "task": "t",
            "budget": {"trials": 1}, "trial_seconds": 1}  # fmt: skip
    with pytest.raises(ValidationError):
        RunSpec.model_validate({**made, "colour": "red"})
    with pytest.raises(ValidationError):
        RunSpec.model_validate(made).seed = 2


@given(st.integers(min_value=1 << 28, max_value=1 << 42))
def test_a_limit_leaves_the_machine_alive(machine_bytes: int) -> None:
    """No container may take more than nine tenths of the machine."""
    for limit in limits.limits().values():
        assert 0 < limit.memory_bytes(machine_bytes) <= 0.9 * machine_bytes


def test_memory_is_absolute_or_a_share() -> None:
    """`memory_mb` goes before `memory_share`; without both it is half of the machine."""
    machine = 100 << 30
    assert Limit(memory_mb=512, pids=1, tmp_mb=1).memory_bytes(machine) == 512 << 20
    assert Limit(memory_share=0.25, pids=1, tmp_mb=1).memory_bytes(machine) == 25 << 30
    assert Limit(pids=1, tmp_mb=1).memory_bytes(machine) == 50 << 30


def test_every_role_has_limits() -> None:
    """No container of ours goes unbounded."""
    assert set(limits.limits()) == {
        "agent", "optimizer", "relay", "gateway", "rehearsal", "judge", "trial", "prepare",
    }  # fmt: skip


def test_a_users_price_is_read_or_refused_by_name() -> None:
    """Whole dollars are taken; the error of a wrong price names model, field and file."""
    price = prices.read_price("my-own-model", {"input": 1, "output": 1.5, "cached_read": 0.05})
    assert price == PriceOverride(1.0, 1.5, cached_read=0.05)
    for wrong, says in (
        ({"output": -1.5}, "at least 0"),
        ({"outptu": 1.5}, "outptu"),
        ({}, "miss"),
    ):
        with pytest.raises(UserError, match=rf"my-own-model in runner/prices\.toml: .*{says}"):
            prices.read_price("my-own-model", {"input": 1, **wrong})
