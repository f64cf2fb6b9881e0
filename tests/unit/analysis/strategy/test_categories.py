"""Labels of changes: each rule with its example, and what a change is read from."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from runner.analysis.strategy.categories import OTHER, SMALL_STEP, Change, rules
from runner.analysis.strategy.texts import Changed, changed_lines
from runner.records.layout import ROOT

TRAIN_PY = (ROOT / "trainer/train.py").read_text(encoding="utf-8")
DATA, SCHEDULE, OPTIMIZER = "tokenizer/data", "schedule", "optimizer"
ARCHITECTURE, HYPERPARAMETER = "architecture", "hyperparameter"
KNOB_EXAMPLES = ["VOCAB_SIZE", "WARMDOWN_RATIO", "ADAM_BETAS", "MATRIX_LR", "WINDOW_PATTERN"]
# A line that a rule of `code` finds, in the order of categories.toml; or a header that it finds.
CODE_EXAMPLES = [
    "tokens = tokenizer.encode(text)", "def load_data(path):", "share = lr_factor(progress)",
    "def lr_factor(progress):", "lr = 0.5 * rate", "AdamW(tables, lr, betas=(0.9, 0.99))",
    "class Muon:", "self.rise = nn.Linear(width, 4 * width)", "class GPT(nn.Module):",
    "rows = plan_batch(task)",
]  # fmt: skip
WORDS_EXAMPLES = [
    "a larger vocabulary", "cosine decay of the rate", "lower momentum", "token embedding LR 0.3",
    "a larger batch", "Lion in place of AdamW", "SwiGLU in the MLP",
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "example", "label"),
    [
        (rule.name, example, rule.label)
        for rule, example in zip(rules().knob, KNOB_EXAMPLES, strict=True)
    ],
)
def test_each_rule_of_a_constant_has_an_example(pattern: str, example: str, label: str) -> None:
    """A rule finds its example, and the example gets its label."""
    assert re.search(pattern, example)
    assert rules().of_constant(example) == label


@pytest.mark.parametrize(
    ("at", "example"), list(enumerate(CODE_EXAMPLES)), ids=[str(at) for at in range(10)]
)
def test_each_rule_of_code_has_an_example(at: int, example: str) -> None:
    """A rule finds its example, and without the rule the example would have no such label."""
    rule = rules().code[at]
    old = re.sub(r"\d", "7", example) if rule.numbers else ""
    changed = Changed(old, "x = y", (example,)) if rule.where else Changed(old, example)
    of = replace(rules(), code=(rule,))
    assert of.of_lines([changed]).labels == (rule.label,)
    assert rules().of_lines([changed]).labels == (rule.label,)
    assert replace(of, code=()).of_lines([changed]).primary in (OTHER, HYPERPARAMETER)


@pytest.mark.parametrize(
    ("at", "example"), list(enumerate(WORDS_EXAMPLES)), ids=[str(at) for at in range(7)]
)
def test_each_rule_of_words_has_an_example(at: int, example: str) -> None:
    """A rule finds its example, alone and among all others."""
    rule = rules().words[at]
    assert replace(rules(), words=(rule,)).of_words(example).labels == (rule.label,)
    assert rules().of_words(example).labels == (rule.label,)
    assert replace(rules(), words=()).of_words(example).labels == (OTHER,)


@pytest.mark.parametrize(
    ("old", "new", "label"),
    [
        ("DEPTH = 8 ", "DEPTH = 9 ", ARCHITECTURE),
        ("WARMDOWN_RATIO = 0.5 ", "WARMDOWN_RATIO = 0.7 ", SCHEDULE),
        ("ADAM_BETAS = (0.8, 0.95)", "ADAM_BETAS = (0.9, 0.95)", OPTIMIZER),
        ("MOMENTUM = (0.85, 0.95, 300)", "MOMENTUM = (0.85, 0.95, 200)", OPTIMIZER),
        ("MATRIX_LR = 0.04 ", "MATRIX_LR = 0.05 ", HYPERPARAMETER),
        ("TOTAL_BATCH_SIZE = 2**19 ", "TOTAL_BATCH_SIZE = 2**18 ", HYPERPARAMETER),
        ("SCALAR_LR * 0.01)", "SCALAR_LR * 0.02)", HYPERPARAMETER),
        ("betas=(0.96, 0.95)", "betas=(0.9, 0.95)", OPTIMIZER),
        ("(8.156554524902461,", "(8.2,", OPTIMIZER),
        ("    return left + (1 - left)", "    return left**2 + (1 - left)", SCHEDULE),
        ("x = norm(x)\n", "x = x\n", ARCHITECTURE),
        ("Linear(shape.width, 4 * shape.width)", "Linear(shape.width, 3 * shape.width)",
         ARCHITECTURE),
        ("torch.full((shape.depth,), 0.1)", "torch.full((shape.depth,), 0.05)", ARCHITECTURE),
        ("1 - NORMUON_BETA)", "1 - NORMUON_BETA**2)", OPTIMIZER),
        ("loader = batches(task, rows, ", "loader = batches(task, 2 * rows, ", DATA),
        ("gc.freeze()", "pass", OTHER),
    ],
)  # fmt: skip
def test_changes_of_the_pristine_text_have_their_labels(old: str, new: str, label: str) -> None:
    """What an agent may well change in train.py is labelled by the place where it stands."""
    assert old in TRAIN_PY
    change = rules().of_lines(changed_lines(TRAIN_PY, TRAIN_PY.replace(old, new, 1)))
    assert change.labels == (label,)
    assert change.read_from == "text"


def test_a_change_may_have_several_labels() -> None:
    """The label with the most places is the first, and ties go by the order of the rules."""
    text = TRAIN_PY.replace("DEPTH = 8 ", "DEPTH = 9 ").replace("HEAD_DIM = 128 ", "HEAD_DIM = 64 ")
    text = text.replace("WARMUP_RATIO = 0.0 ", "WARMUP_RATIO = 0.1 ")
    assert rules().of_lines(changed_lines(TRAIN_PY, text)).labels == (ARCHITECTURE, SCHEDULE)
    both = rules().of_knobs({"DEPTH": (8, 9), "WARMUP_RATIO": (0.0, 0.1)})
    assert both.labels == (SCHEDULE, ARCHITECTURE)


def test_an_import_changes_nothing_by_itself() -> None:
    """Lines that only import have no label."""
    assert rules().of_lines([Changed("", "import math")]) == Change(key="nothing", read_from="text")


@pytest.mark.parametrize(
    ("said", "labels", "step"),
    [
        ("matrix LR 0.04 to 0.05 (a bit better)", (HYPERPARAMETER,), math.log(1.25)),
        ("ROPE_BASE 10_000 -> 20_000", (ARCHITECTURE,), math.log(2)),
        ("batch 512K to 256K", (HYPERPARAMETER,), math.log(2)),
        ("FINAL_LR_FRAC 0.0 → 0.1", (SCHEDULE,), math.inf),
        ("halve the scalar LR", (HYPERPARAMETER,), math.log(2)),
        ("weight decay 1.5x", (HYPERPARAMETER,), math.log(1.5)),
        ("Muon momentum warmup 300 to 200 steps", (SCHEDULE, OPTIMIZER), math.log(1.5)),
        ("add gradient clipping (the depth stays)", (OPTIMIZER,), math.nan),
        ("another thing 3 to 4", (HYPERPARAMETER,), math.log(4 / 3)),
        ("DEVICE_BATCH_SIZE 8 -> 16 at DEPTH=4", (HYPERPARAMETER,), math.log(2)),
        ("tidy up", (OTHER,), math.nan),
        ("変更", (OTHER,), math.nan),
        ("", (), math.nan),
    ],
)  # fmt: skip
def test_words_tell_labels_and_steps(said: str, labels: tuple[str, ...], step: float) -> None:
    """A sentence gives its labels and the largest |ln(new / old)| that it names."""
    change = rules().of_words(said)
    assert change.labels == labels
    assert change.step == pytest.approx(step, nan_ok=True)


def test_equal_changes_have_equal_keys() -> None:
    """Case, arrows, old values, how numbers are written and what is said of them do not matter."""
    key = rules().of_words("Matrix LR 0.04 to 0.05").key
    for said in ("matrix lr 4e-2 -> 5e-2", "MATRIX_LR 0.06→0.05 (worse)", "matrix LR 0.050, worse"):
        assert rules().of_words(said).key == key
    assert rules().of_words("matrix LR 0.04 to 0.06").key != key
    knobs = rules().of_knobs({"DEPTH": (8, 9)})
    assert rules().of_knobs({"DEPTH": (7, 9.0)}).key == knobs.key
    assert rules().of_knobs({"DEPTH": (9, 8)}).key != knobs.key


@pytest.mark.parametrize(
    ("old", "new", "small"),
    [(0.04, 0.05, True), (0.05, 0.04, True), (0.04, 0.06, False), (0.0, 0.1, False),
     (-1.0, 1.0, False)],
)  # fmt: skip
def test_a_small_step_is_a_quarter_at_most(old: float, new: float, small: bool) -> None:
    """Only numbers change, none by more than a quarter, up or down; from zero is no small step."""
    assert rules().of_knobs({"MATRIX_LR": (old, new)}).small is small


def test_a_pattern_is_no_number() -> None:
    """A constant that is text has no step, so that its change is not small."""
    change = rules().of_knobs({"WINDOW_PATTERN": ("SSSL", "SL"), "MATRIX_LR": (0.04, 0.041)})
    assert not change.numbers_only
    assert change.step < SMALL_STEP
    assert not change.small


def test_own_words_have_labels() -> None:
    """A contestant's own word is read in any case; an unknown one is not."""
    assert rules().of_own("Data") == DATA
    assert rules().of_own("learning  rate schedule") == SCHEDULE
    assert rules().of_own("other") == ""


def test_rules_name_known_labels() -> None:
    """Each rule and each own word leads to one of the labels, and no word to two."""
    of = rules()
    named = {rule.label for rule in (*of.knob, *of.code, *of.words)} | set(of.own.values())
    assert named == set(of.labels)
    assert of.version == 1
