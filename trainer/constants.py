"""Reads and rewrites the ALL_CAPS constants of a `train.py`, by its syntax tree alone.

A constant is a name in capitals that the module assigns once, at its top level, to a literal or to
arithmetic on literals (`2**19`), and that nothing else binds. The text is untrusted: it is parsed
and never run, and every fault in it raises a `ConstantsError`.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
MAX_SOURCE_BYTES = 1024 * 1024  # of a text that is parsed
MAX_COMPARED_CHARS = 64 * 1024  # of a text that is compared: two of the slowest kind take a second
MAX_NUMBER = 2**256
MAX_EXPONENT = 128
LINE_END = re.compile(rb"\r\n|\r|\n")
_PARSING = threading.Lock()

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class ConstantsError(ValueError):
    """The text does not parse, it has no such constant, or the value cannot be written."""


@dataclass(frozen=True)
class Change:
    """What differs between two texts.

    Attributes:
        knobs: the constants that both texts have with different values: name → (old, new).
        other: whether the code differs in anything else.
        comments: whether the texts differ only outside the code: comments, spaces, notation.
    """

    knobs: dict[str, tuple[Any, Any]]
    other: bool
    comments: bool


@dataclass(frozen=True)
class _Constant:
    value: Any
    node: ast.expr
    statement: ast.Assign | ast.AnnAssign


def parse_alone(source: str) -> ast.Module:
    """The syntax tree of a text. Trees are made one at a time, whichever threads ask for them.

    Python 3.11 counts the depth of all threads' trees together, and may raise a SystemError where
    two are made at once.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: the text does not parse.
    """
    with _PARSING:
        return ast.parse(source)


def read(source: str) -> dict[str, Any]:
    """The constants of a text, in the order of the text.

    Raises:
        ConstantsError: the text does not parse.
    """
    return {name: found.value for name, found in _constants(_parse(source)).items()}


def lines(source: str) -> dict[str, tuple[int, int]]:
    """The first and the last line of each constant's statement, counted from 1.

    Raises:
        ConstantsError: the text does not parse.
    """
    return {
        name: (found.statement.lineno, found.statement.end_lineno or found.statement.lineno)
        for name, found in _constants(_parse(source)).items()
    }


def rewrite(source: str, values: Mapping[str, Any]) -> str:
    """The text with new values for some constants; every other byte stays as it was.

    If a constant already has the value, its text stays as it is, for example `2**19`.

    Raises:
        ConstantsError: the text does not parse, lacks a constant, or a value is not a literal.
    """
    constants = _constants(_parse(source))
    missing = sorted(set(values) - set(constants))
    if missing:
        raise ConstantsError(f"train.py has no constant {', '.join(missing)}")
    changed = {
        constants[name].node: _written(name, value)
        for name, value in values.items()
        if not _same(constants[name].value, value)
    }
    if not changed:
        return source
    return _replaced(source, changed)


def compare(old: str, new: str) -> Change:
    """Compares two texts: their knobs, their other code, and everything outside the code.

    Raises:
        ConstantsError: a text does not parse or has more than `MAX_COMPARED_CHARS`.
    """
    if max(len(old), len(new)) > MAX_COMPARED_CHARS:
        raise ConstantsError(f"a text has more than {MAX_COMPARED_CHARS} characters")
    tree_old, tree_new = _parse(old), _parse(new)
    before, after = _constants(tree_old), _constants(tree_new)
    shared = [name for name in before if name in after]
    knobs = {
        name: (before[name].value, after[name].value)
        for name in shared
        if not _same(before[name].value, after[name].value)
    }
    blank_old = _replaced(old, {before[name].node: "0" for name in shared})
    blank_new = _replaced(new, {after[name].node: "0" for name in shared})
    if blank_old == blank_new:
        return Change(knobs, other=False, comments=False)
    for name in shared:
        before[name].statement.value = after[name].statement.value = ast.Constant(0)
    other = _code(tree_old) != _code(tree_new)
    return Change(knobs, other, comments=not other)


def _code(tree: ast.Module) -> str:
    """The code alone, without comments and notation.

    Raises:
        ConstantsError: the code nests too deeply or has a number that cannot be written.
    """
    try:
        return ast.dump(tree)
    except (ValueError, RecursionError) as error:
        raise ConstantsError(f"the text cannot be compared: {error}") from None


def _parse(source: str) -> ast.Module:
    try:
        if len(source.encode()) > MAX_SOURCE_BYTES:
            raise ConstantsError(f"the text has more than {MAX_SOURCE_BYTES} bytes")
        return parse_alone(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ConstantsError):
            raise
        raise ConstantsError(f"the text does not parse: {error or type(error).__name__}") from None


def _constants(tree: ast.Module) -> dict[str, _Constant]:
    """Maps the name of each constant to its value and the node that holds the value."""
    try:
        bound = Counter(_bound_names(tree))
        found = {}
        for name, statement in _assignments(tree):
            if NAME.fullmatch(name) and bound[name] == 1 and statement.value is not None:
                try:
                    found[name] = _Constant(_value(statement.value), statement.value, statement)
                except (ValueError, ArithmeticError, TypeError):
                    continue  # it is computed from something else, so it is not a constant
        return found
    except RecursionError:
        raise ConstantsError("the text nests too deeply") from None


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    """The statements at the top level that bind one name."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name):
            yield target.id, statement


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Every binding of every name at any depth; a name that is bound twice is not a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def _value(node: ast.expr) -> Any:
    """The value of a literal, of a tuple or list of literals, or of arithmetic on numbers.

    Raises:
        ValueError: the node is something else.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str)):
        return node.value
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        number = _number(node.operand)
        return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _calculated(node)
    raise ValueError("not a literal")


def _calculated(node: ast.BinOp) -> Any:
    left, right = _number(node.left), _number(node.right)
    if isinstance(node.op, ast.Pow) and (abs(right) > MAX_EXPONENT or abs(left) > 2**64):
        raise ValueError("the power is too large to compute")
    result = _OPERATORS[type(node.op)](left, right)
    if isinstance(result, complex) or abs(result) > MAX_NUMBER:
        raise ValueError("the result is complex or too large")
    return result


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("not a number")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise ValueError("the number is too large to compute with")
    return value


def _same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of equal types: 1, 1.0 and True are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (tuple, list)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _written(name: str, value: Any) -> str:
    """The literal for a value.

    Raises:
        ConstantsError: the value has parts other than finite numbers, booleans and strings.
    """
    if isinstance(value, (tuple, list)):
        items = ", ".join(_written(name, item) for item in value)
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    if not isinstance(value, (bool, int, float, str)):
        raise ConstantsError(f"{name}: {type(value).__name__} is not a type of a constant")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConstantsError(f"{name}: {value} is not a value of a constant")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise ConstantsError(f"{name}: the number is too large")
    return ascii(value)


def _replaced(source: str, texts: Mapping[ast.expr, str]) -> str:
    """The source with the text of some nodes replaced; syntax trees count bytes of UTF-8."""
    content = source.encode()
    starts = [0, *(match.end() for match in LINE_END.finditer(content))]
    spans = []
    for node, text in texts.items():
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        spans.append((begin, starts[node.end_lineno - 1] + node.end_col_offset, text.encode()))
    pieces, done = [], 0
    for begin, end, replacement in sorted(spans):
        pieces += [content[done:begin], replacement]
        done = end
    return b"".join([*pieces, content[done:]]).decode()
