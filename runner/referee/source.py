"""A train.py as its syntax tree shows it: imports, calls and literals, each with its place.

The text is a contestant's. It is parsed and never run; one walk over the tree, without recursion,
takes linear time, and a text that does not parse or is too long raises `UnreadableError`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from trainer.constants import parse_alone

MAX_CHARS = 64 * 1024  # ours has 25,000; the bound of `trainer.constants` too
MAX_DOTS = 16  # parts of a dotted name that are followed
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp)


class UnreadableError(ValueError):
    """The text does not parse, or is too long to be read; the message says which."""


@dataclass(frozen=True)
class Called:
    """One call: `name` is the dotted name of what is called, empty where it has none."""

    name: str
    node: ast.Call
    in_loop: bool

    @property
    def line(self) -> int:
        return self.node.lineno


@dataclass
class Source:
    """What a text imports, calls, assigns and holds.

    Attributes:
        text: the text itself.
        origins: a name that an import binds → the dotted name that it stands for.
        nodes: all nodes of the tree.
        calls: all calls.
        bound: names that the text binds in another way than by an import → the first line.
        docstrings: the ids of the constants that are statements of their own.
    """

    text: str
    origins: dict[str, str] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    bound: dict[str, int] = field(default_factory=dict)
    docstrings: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, text: str) -> Source:
        """Read a text.

        Raises:
            UnreadableError: it does not parse, or has more than `MAX_CHARS` characters.
        """
        source = cls(text)
        looped = list(_walk(_parse(text)))
        source.nodes = [node for node, _ in looped]
        for node in source.nodes:
            source._note_names(node)
        for node in source.nodes:
            source._note_alias(node)
        source.calls = [
            Called(source.dotted(node.func), node, in_loop)
            for node, in_loop in looped
            if isinstance(node, ast.Call)
        ]
        return source

    def dotted(self, node: ast.AST) -> str:
        """The dotted name of an expression, imports resolved: `F.relu` → torch.nn.functional.relu.

        Empty where it is no such name, or one of more than `MAX_DOTS` parts.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < MAX_DOTS:
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.origins.get(node.id, node.id), *reversed(parts)])

    def is_imported(self, node: ast.AST) -> bool:
        """Whether a dotted name begins with a name that an import binds."""
        for _ in range(MAX_DOTS):
            if not isinstance(node, ast.Attribute):
                break
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.origins

    def _note_names(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    first = alias.name.split(".")[0]
                    self.origins[alias.asname or first] = alias.name if alias.asname else first
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    self.origins[alias.asname or alias.name] = f"{module or ''}.{alias.name}"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.bound.setdefault(name, node.lineno)
            case ast.ClassDef(name=name):
                self.bound.setdefault(name, node.lineno)
            case ast.Name(id=name, ctx=ast.Store()):
                self.bound.setdefault(name, node.lineno)
            case ast.Expr(value=ast.Constant() as constant):
                self.docstrings.add(id(constant))

    def _note_alias(self, node: ast.AST) -> None:
        """Follow `m = math`: what is done to `m` is done to the module."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=of)):
                if of in self.origins:
                    self.origins.setdefault(name, self.origins[of])


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it stands in a loop of its own function or of the module."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, in_loop = waiting.pop()
        yield node, in_loop
        inside = in_loop or isinstance(node, LOOPS)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inside = False
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))


def _parse(text: str) -> ast.Module:
    if len(text) > MAX_CHARS:
        raise UnreadableError(f"it has {len(text)} characters; {MAX_CHARS} are read at most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text's own bad escapes
            return parse_alone(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"it does not parse: {type(error).__name__}") from error
