"""Labels of a change, by the rules of `categories.toml`.

A change is read from two texts of train.py, from the constants that differ, or, where there is
neither, from the words of whoever made it. Each gives the same things, so that they compare: the
labels, a key that is equal for equal changes, and how far the numbers went.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from runner.analysis.strategy.texts import NUMBER, Changed
from runner.spec import Frozen, read_table

OTHER = "other"  # the label of a change that no rule knows
HYPERPARAMETER = "hyperparameter"
SMALL_STEP = math.log(1.25) + 1e-9  # ours: a small step changes no number by more than a quarter
MOST_LETTERS = 2000  # of a line or of what was said that rules look at, as in the protocol
_CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*)\s*(?::[^=]+)?=(?!=)")
_CONSTANT_IN_WORDS = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_IMPORT = re.compile(r"(import|from) ")
_ASIDE = re.compile(r"\([^()]*\)| [—–-]{1,2} .*$| at [A-Za-z_]+ ?= ?[\d.]+")
_VERDICT = re.compile(  # what is said of the outcome, behind the change
    r"(?<=\w)[ ,:;]+(no (better|improvement|further|gain)|slightly|much|marginal|identical"
    r"|worse|better|hurts?|too (few|many|slow|big|large|small|shallow|narrow|high|low)|new best)"
    r"\b.*$"
)
_TO = r"\s*(?:to|->|→|=>|⇒)\s*"
_AMOUNT = r"(?<![\w.])(?<!\d,)(\d[\d_,]*(?:\.\d*+)?(?:e[-+]?\d+)?)([kMx]?)(?![\w.]*\w)"
_FROM_TO = re.compile(_AMOUNT + _TO + _AMOUNT, re.IGNORECASE)
_FACTOR = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)x\b", re.IGNORECASE)
_DOUBLED = re.compile(r"\b(halv(e|ed|ing)|half|doubl(e|ed|ing))\b", re.IGNORECASE)
_SCALE = {"": 1.0, "k": 1e3, "m": 1e6, "x": 1.0}


@dataclass(frozen=True)
class Change:
    """What one experiment changed.

    Attributes:
        labels: all that apply, the one with the most places first.
        key: equal for equal changes; empty where nothing is known of the change.
        step: the largest |ln(new / old)| of the numbers that changed; infinite where a number
            left zero or changed its sign, NaN where no number is known.
        numbers_only: nothing but numbers changed.
        read_from: "text", "knobs", "words" or, where nothing is known, "".
    """

    labels: tuple[str, ...] = ()
    key: str = ""
    step: float = math.nan
    numbers_only: bool = False
    read_from: str = ""

    @property
    def primary(self) -> str:
        """The label with the most places; empty without a label."""
        return self.labels[0] if self.labels else ""

    @property
    def small(self) -> bool:
        """Only numbers changed, and none by more than a quarter."""
        return self.numbers_only and self.step <= SMALL_STEP


class Rule(Frozen):
    """A row of `categories.toml`; which fields it has depends on its table."""

    label: str
    name: str = ""
    line: str = ""
    where: str = ""
    words: str = ""
    numbers: bool = False


@dataclass(frozen=True)
class Rules:
    """The rules of one version.

    Attributes:
        version: of the rules; labels of two versions do not compare.
        labels: all labels; the order breaks ties.
        knob: for constants.
        code: for changed lines.
        words: for what was said of a change.
        own: a contestant's own word → label.
    """

    version: int
    labels: tuple[str, ...]
    knob: tuple[Rule, ...]
    code: tuple[Rule, ...]
    words: tuple[Rule, ...]
    own: Mapping[str, str]

    def of_lines(
        self, changed: Iterable[Changed], knobs: Mapping[str, tuple[Any, Any]] | None = None
    ) -> Change:
        """The change that lines of code make.

        Args:
            changed: the lines that differ.
            knobs: constant → old and new value, where they are known better than from the lines.
        """
        lines = [one for one in changed if not _IMPORT.match(one.new or one.old)]
        if not lines:
            return Change(key="nothing", read_from="text")
        counted = Counter(self._of_line(one) for one in lines)
        known = [(old, new) for old, new in (knobs or {}).values() if _is_number(old, new)]
        pairs = known or [pair for one in lines for pair in one.numbers()]
        return Change(
            self._ordered(counted),
            "\n".join(sorted(f"+{one.new}" if one.new else f"-{one.old}" for one in lines)),
            _step(pairs),
            all(one.numbers_only for one in lines),
            "text",
        )

    def of_knobs(self, knobs: Mapping[str, tuple[Any, Any]]) -> Change:
        """The change that constants make.

        Args:
            knobs: constant → old and new value.
        """
        if not knobs:
            return Change(key="nothing", read_from="knobs")
        key = "\n".join(f"+{name} = {_same(new)}" for name, (_, new) in sorted(knobs.items()))
        numbers = [pair for pair in knobs.values() if _is_number(*pair)]
        return Change(
            self._ordered(Counter(self.of_constant(name) for name in knobs)),
            key,
            _step(numbers),
            len(numbers) == len(knobs),
            "knobs",
        )

    def of_words(self, said: str) -> Change:
        """The change that a sentence tells.

        What stands in brackets or after a dash is looked at only if the rest has no label.
        """
        said = said[:MOST_LETTERS]
        aside = _ASIDE.sub(" ", said)
        counted = self._in_words(aside) or self._in_words(said)
        pairs = _numbers(aside) or _numbers(said)
        if not counted and pairs:
            counted = Counter([HYPERPARAMETER])
        if not said.strip():
            return Change()
        return Change(
            self._ordered(counted), _key(aside) or _key(said), _step(pairs), bool(pairs), "words"
        )

    def of_constant(self, name: str) -> str:
        """The label of a constant."""
        known = self._of_constants.get(name)
        if known is None:
            found = (rule.label for rule in self.knob if re.search(rule.name, name.upper()))
            known = self._of_constants[name] = next(found, HYPERPARAMETER)
        return known

    @cached_property
    def _of_constants(self) -> dict[str, str]:
        """The labels that were told before: the trials of a run have the same few constants."""
        return {}

    def of_own(self, category: str) -> str:
        """The label that a contestant's own word for its change means; empty if unknown."""
        return self.own.get(" ".join(category.lower().split()), "")

    def _of_line(self, changed: Changed) -> str:
        """The label of a changed line."""
        code = changed.new or changed.old
        both = f"{changed.old[:MOST_LETTERS]} {changed.new[:MOST_LETTERS]}"
        outermost = changed.scope[-1] if changed.scope else code
        if constant := _CONSTANT.match(outermost):
            return self.of_constant(constant[1])
        for rule in self.code:
            fits = changed.numbers_only or not rule.numbers
            if rule.line and fits and re.search(rule.line, both):
                return rule.label
        for header in changed.scope:
            for rule in self.code:
                if rule.where and re.search(rule.where, header[:MOST_LETTERS]):
                    return rule.label
        return HYPERPARAMETER if changed.numbers_only else OTHER

    def _in_words(self, said: str) -> Counter[str]:
        """How often each label is in words; each rule takes away what it found."""
        counted = Counter(self.of_constant(name) for name in _CONSTANT_IN_WORDS.findall(said))
        said = _CONSTANT_IN_WORDS.sub(" ", said)
        for rule in self.words:
            said, found = re.subn(rule.words, " ", said, flags=re.IGNORECASE)
            counted[rule.label] += found
        return +counted

    def _ordered(self, counted: Counter[str]) -> tuple[str, ...]:
        """The labels, most places first; "other" only where it stands alone."""
        ranks = {label: rank for rank, label in enumerate(self.labels)}
        known = [label for label in counted if label in ranks]
        return tuple(sorted(known, key=lambda label: (-counted[label], ranks[label]))) or (OTHER,)


@cache
def rules() -> Rules:
    """The rules of `categories.toml`.

    Raises:
        HostError: the file is missing or is not TOML.
    """
    table = read_table(Path(__file__).with_name("categories.toml"))
    knob, code, words = (
        tuple(Rule.model_validate(row) for row in table[name]) for name in ("knob", "code", "words")
    )
    own = {word: label for label, listed in table["own"].items() for word in listed}
    return Rules(int(table["version"]), tuple(table["labels"]), knob, code, words, own)


def _is_number(*values: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _step(pairs: Iterable[tuple[float, float]]) -> float:
    """The largest |ln(new / old)|; NaN without a pair."""
    sizes = [
        abs(math.log(abs(new)) - math.log(abs(old))) if old * new > 0 else math.inf
        for old, new in pairs
    ]
    return max(sizes, default=math.nan)


def _numbers(said: str) -> list[tuple[float, float]]:
    """Old and new value of each number that words say changed; a factor counts from 1."""
    found = []
    for old, old_unit, new, new_unit in _FROM_TO.findall(said):
        both = _amount(old, old_unit or new_unit), _amount(new, new_unit or old_unit)
        found.append(both)
    if not found:
        found = [(1.0, float(factor)) for factor in _FACTOR.findall(said)]
    return found or [(1.0, 2.0) for _ in _DOUBLED.findall(said)]


def _amount(digits: str, unit: str) -> float:
    return float(digits.replace("_", "").replace(",", "")) * _SCALE[unit.lower()]


def _key(said: str) -> str:
    """Words without what does not matter: case, signs, old values, how a number is written."""
    plain = _FROM_TO.sub(r" \3\4 ", _VERDICT.sub("", said.lower()))
    plain = NUMBER.sub(lambda found: f"{float(found[0]):g}", plain)
    return " ".join(re.findall(r"[^\W_]+(?:\.\d+)?(?:e[-+]\d+)?", plain))


def _same(value: Any) -> str:
    """A value as text, the same for 1 and 1.0."""
    return f"{value:g}" if _is_number(value) else json.dumps(value, ensure_ascii=False)
