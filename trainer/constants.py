"""Reads and rewrites the ALL_CAPS constants of a `train.py`, by its syntax tree alone.

A constant is a name in capitals that the module assigns once, at its top level, to a literal or to
arithmetic on literals (`2**19`), and nothing else ever binds. The text is a stranger's: it is
parsed, never run, and whatever is wrong with it is one `ConstantsError`.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
MAX_SOURCE_BYTES = 4 * 1024 * 1024
MAX_EXPONENT = 128
LINE_END = re.compile(rb"\r\n|\r|\n")

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class ConstantsError(ValueError):
    """The text does not parse, or has no such constant, or the value cannot be written."""


@dataclass(frozen=True)
class Change:
    """What differs between two texts.

    Attributes:
        knobs: constants of both texts whose values differ: name → (old, new).
        other: whether the code differs in anything else.
        comments: whether the texts differ in what is no code: comments, spaces, ways to write.
    """

    knobs: dict[str, tuple[Any, Any]]
    other: bool
    comments: bool


@dataclass(frozen=True)
class _Constant:
    value: Any
    node: ast.expr


def read(source: str) -> dict[str, Any]:
    """The constants of a text, in their order.

    Raises:
        ConstantsError: the text does not parse.
    """
    return {name: found.value for name, found in _constants(_parse(source)).items()}


def rewrite(source: str, values: Mapping[str, Any]) -> str:
    """The text with other values for some constants, and every other byte as it was.

    A value that a constant has already leaves its text alone, `2**19` included.

    Raises:
        ConstantsError: the text does not parse, lacks a constant, or a value is no plain literal.
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
    """What differs: knobs, other code, and what is no code.

    Raises:
        ConstantsError: one of the texts does not parse.
    """
    before, after = _constants(_parse(old)), _constants(_parse(new))
    shared = [name for name in before if name in after]
    knobs = {
        name: (before[name].value, after[name].value)
        for name in shared
        if not _same(before[name].value, after[name].value)
    }
    blank_old = _replaced(old, {before[name].node: "0" for name in shared})
    blank_new = _replaced(new, {after[name].node: "0" for name in shared})
    other = ast.dump(_parse(blank_old)) != ast.dump(_parse(blank_new))
    return Change(knobs, other, not other and blank_old != blank_new)


def _parse(source: str) -> ast.Module:
    try:
        if len(source.encode()) > MAX_SOURCE_BYTES:
            raise ConstantsError(f"a text of over {MAX_SOURCE_BYTES} bytes")
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ConstantsError):
            raise
        raise ConstantsError(f"it does not parse: {error or type(error).__name__}") from None


def _constants(tree: ast.Module) -> dict[str, _Constant]:
    """Name → value and the node that it is written in, for what is a constant and stays one."""
    try:
        bound = Counter(_bound_names(tree))
        found = {}
        for statement in tree.body:
            name, node = _assignment(statement)
            if name and node and NAME.fullmatch(name) and bound[name] == 1:
                try:
                    found[name] = _Constant(_value(node), node)
                except (ValueError, ArithmeticError, TypeError):
                    continue  # computed from something else: no constant
        return found
    except RecursionError:
        raise ConstantsError("it nests too deeply") from None


def _assignment(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None, None
    return (target.id if isinstance(target, ast.Name) else None), statement.value


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Every binding of every name, wherever it is: one that is bound again is no constant."""
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
    """The value of a literal, a tuple or list of them, or arithmetic on numbers.

    Raises:
        ValueError: it is something else.
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
    raise ValueError("no literal")


def _calculated(node: ast.BinOp) -> Any:
    left, right = _number(node.left), _number(node.right)
    if isinstance(node.op, ast.Pow) and (abs(right) > MAX_EXPONENT or abs(left) > 2**64):
        raise ValueError("a power too large to work out")
    result = _OPERATORS[type(node.op)](left, right)
    if isinstance(result, complex) or abs(result) > 2**256:
        raise ValueError("no number of a usable size")
    return result


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("no number")
    return value


def _same(left: Any, right: Any) -> bool:
    """Equal and of equal types: 1, 1.0 and True are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (tuple, list)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _written(name: str, value: Any) -> str:
    """The literal for a value.

    Raises:
        ConstantsError: it is not made of finite numbers, booleans and strings.
    """
    if isinstance(value, (tuple, list)):
        items = ", ".join(_written(name, item) for item in value)
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    if not isinstance(value, (bool, int, float, str)):
        raise ConstantsError(f"{name}: {type(value).__name__} is no value of a constant")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConstantsError(f"{name}: {value} is no value of a constant")
    if isinstance(value, int) and abs(value) > 2**256:
        raise ConstantsError(f"{name}: too large a number")
    return ascii(value)


def _replaced(source: str, texts: Mapping[ast.expr, str]) -> str:
    """The source with the text of some nodes exchanged; syntax trees count bytes of UTF-8."""
    content = source.encode()
    starts = [0, *(match.end() for match in LINE_END.finditer(content))]
    spans = []
    for node, text in texts.items():
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        spans.append((begin, starts[node.end_lineno - 1] + node.end_col_offset, text.encode()))
    for begin, end, replacement in sorted(spans, reverse=True):
        content = content[:begin] + replacement + content[end:]
    return content.decode()
