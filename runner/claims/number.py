"""Numbers as people write them: `68.6%`, `9.3s`, `1,271`, `3.7/5`, `~0.91`, `**2.31**`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MAX_CHARS = 60  # a longer cell is a sentence
MOST_DECIMALS = 300  # a power of ten of more digits is no number of a machine
_MARKUP = " \t*`'\"_"
_NUMBER = re.compile(
    r"[~≈=]?\s*(?P<sign>[+−-]?)\s*(?P<digits>\d[\d,]*+(?:\.\d*+)?+|\.\d++)(?P<exponent>[eE][+-]?\d{1,3})?"
    r"(?P<rest>\s*%|\s*/\s*\d+(\.\d+)?|\s*[A-Za-zµ°][^\d]*|\s*[(\[].*|\s+[A-Za-zµ@](?!.*\s[~≈+−-]?\d).*)?"
)
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_LARGER = re.compile(r"[kKMGBT]\b(?![A-Za-z/])")  # 970K is no 970


@dataclass(frozen=True)
class Number:
    """A number as it was written.

    Args:
        value: the number, without what dressed it.
        decimals: how many digits stand after its point; negative when an exponent moves it.
        percent: whether a percent sign followed.
    """

    value: float
    decimals: int
    percent: bool = False


def read_number(text: str) -> Number | None:
    """The one number that a cell holds; None when it holds none, or several, or a sentence."""
    if len(text) > MAX_CHARS:
        return None
    found = _NUMBER.fullmatch(text.strip(_MARKUP))
    if found is None:
        return None
    digits, rest = found["digits"], (found["rest"] or "").strip()
    if _LARGER.match(rest):
        return None
    if "," in digits:
        if _THOUSANDS.fullmatch(digits):
            digits = digits.replace(",", "")
        elif _DECIMAL_COMMA.fullmatch(digits):
            digits = digits.replace(",", ".")
        else:
            return None
    exponent = found["exponent"] or ""
    sign = "-" if found["sign"] in ("-", "−") else ""
    value = float(f"{sign}{digits}{exponent}")
    decimals = len(digits.partition(".")[2]) - int(exponent[1:] or 0)
    if not math.isfinite(value) or abs(decimals) > MOST_DECIMALS:
        return None
    return Number(value, decimals, rest == "%")


def is_number(text: str) -> bool:
    """Whether a cell holds one number."""
    return read_number(text) is not None
