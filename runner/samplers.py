"""The table of baselines for the host: their names and what they are.

The algorithms are in the optimizer's image (`images/optimizer/samplers/`, and those that use a
model in `images/optimizer/methods/`); tests hold that the tables name the same.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from runner.errors import UserError, unknown_name
from runner.spec import Frozen, Knob, OwnSampler, read_table

TABLE = Path(__file__).with_name("samplers.toml")
OWN = re.compile(r"(?P<path>.*\.py)(:(?P<factory>.*))?", re.DOTALL)
MAX_OWN_BYTES = 128 << 10  # as JSON; the line of `start` has room for twice as much
MAX_SETTINGS = 100_000  # of a finite space, as in images/optimizer/samplers/grid.py
PYTHON_OF_THE_IMAGE = (3, 11)
Option = Literal["SPACE", "PRUNER", "INNER", "RATIO", "FIRST", "AS_PUBLISHED"]
Searched = Literal["given space", "own space", "texts"]
OF_SOME: tuple[Option, ...] = get_args(Option)  # what some methods take and others do not


class Sampler(Frozen):
    """A row of `samplers.toml`: its description is one sentence for people.

    One that is `finite` tries out a space, which then has to have an end. One that is `alone` keeps
    a state that only its own asks and tells make, so it cannot share a study.
    """

    name: str
    description: str
    finite: bool = False
    alone: bool = False


class Method(Frozen):
    """A row of `samplers.toml` with `uses_model`: an optimiser that asks a model.

    Attributes:
        name: what SAMPLER calls it.
        description: one sentence for people.
        uses_model: it does.
        inner: the sampler that it works with unless INNER names another; "" for none.
        takes: those of the options of `OF_SOME` that it has.
        prompts: the files of setup_prompts/optimisers/ that it needs, without `.md`.
        searches: the space that it is given, one that its model proposes, or whole texts.
        reads_train_py: it is told the task's train.py.
    """

    name: str
    description: str
    uses_model: Literal[True]
    inner: str = ""
    takes: tuple[Option, ...] = ()
    prompts: tuple[str, ...]
    searches: Searched = "given space"
    reads_train_py: bool = False


def load() -> dict[str, Sampler]:
    """All samplers without a model by name, in the table's order."""
    rows = read_table(TABLE)
    return {
        name: Sampler(name=name, **row) for name, row in rows.items() if "uses_model" not in row
    }


def load_methods() -> dict[str, Method]:
    """All optimisers that use a model by name, in the table's order."""
    rows = read_table(TABLE)
    return {name: Method(name=name, **row) for name, row in rows.items() if "uses_model" in row}


def searched_by(method: object) -> Searched:
    """What a baseline searches.

    Args:
        method: the name of its method, as records have it; that of none is of one without a model.
    """
    row = load_methods().get(method) if isinstance(method, str) else None
    return row.searches if row else "given space"


def find_inner(method: Method, asked: str | None) -> Sampler | None:
    """The sampler that a method works with; None for a method without one.

    Args:
        method: which is known to take INNER if that is given.
        asked: INNER, or None for the method's own.

    Raises:
        UserError: there is none of that name, or the method cannot ask it.
    """
    name = asked or method.inner
    if not name:
        return None
    if is_own(name) or name in load_methods():
        what = "a sampler of your own" if is_own(name) else "an optimiser that uses a model itself"
        raise UserError(
            f"choosing the inner sampler of {method.name}: {name} is {what}",
            hint=f"take a sampler without a model: {', '.join(_askable(method))}",
        )
    if name not in load():
        raise unknown_name("inner sampler", name, _askable(method))
    if name not in _askable(method):
        row = load()[name]
        why = "keeps a state that only its own trials make" if row.alone else "needs a finite space"
        raise UserError(
            f"choosing the inner sampler of {method.name}: {name} {why}",
            hint=f"take one of {', '.join(_askable(method))}",
        )
    return load()[name]


def _askable(method: Method) -> list[str]:
    """The samplers that say what they would suggest by the trials alone, on the method's space."""
    own_space = "SPACE" not in method.takes
    rows = load().values()
    return [row.name for row in rows if not row.alone and not (own_space and row.finite)]


def find(name: str) -> Sampler:
    """The sampler of that name.

    Raises:
        UserError: there is none. The hint lists the known names and the nearest one.
    """
    samplers = load()
    if name not in samplers:
        raise unknown_name("sampler", name, [*samplers, *load_methods()])
    return samplers[name]


def is_own(name: str) -> bool:
    """Whether SAMPLER names a user's file and not a row of the table."""
    return OWN.fullmatch(name) is not None


def read_own(asked: str) -> OwnSampler:
    """The user's own sampler that `path.py:Factory` names. Nothing of the file is run here.

    Raises:
        UserError: there is no such file, it is too large or no Python, or it has no such name.
    """
    found = OWN.fullmatch(asked)
    path = Path(found["path"] if found else asked).expanduser()
    during = f"reading the sampler {path}"
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(
            f"{during}: {why}", hint="SAMPLER is the name of a sampler, or ./my_sampler.py:Factory"
        ) from error
    if len(json.dumps(text)) > MAX_OWN_BYTES:
        raise UserError(
            f"{during}: it has {len(json.dumps(text))} bytes, at most {MAX_OWN_BYTES}",
            hint="leave out what the sampler does not need",
        )
    names = _top_names(text, during, path.name)
    factory = found["factory"] if found else None
    if factory not in names:
        raise UserError(
            f"{during}: "
            + (
                f"it has no {factory!r} at its top level"
                if factory
                else "nothing says what to call"
            ),
            hint=f"write it as SAMPLER={path}:Factory; the file defines "
            f"{', '.join(sorted(names)) or 'no name at all'}",
        )
    return OwnSampler(
        file=path.name, factory=factory, text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )  # fmt: skip


def own_name(own: OwnSampler, taken: Mapping[str, object]) -> str:
    """The contestant's name: that of the file, without its suffix.

    Args:
        own: the sampler.
        taken: the names of other contestants.

    Raises:
        UserError: the name is another contestant's, or cannot be part of a run's id.
    """
    name = own.file.removesuffix(".py")
    if name in taken:
        raise UserError(
            f"naming the sampler of {own.file}: {name} is a contestant of Bakeoff already",
            hint=f"give the file another name, such as my_{name}.py",
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
        raise UserError(
            f"naming the sampler of {own.file}: {name!r} cannot be part of a run's id",
            hint="give the file a name of up to 32 small letters, digits, _ and -, such as "
            "my_sampler.py",
        )
    return name


def check_storage(name: str, storage: str | None, *, is_own: bool) -> None:
    """Refuse a shared study to a sampler that has, or as a user's own may have, a state of its own.

    Raises:
        UserError: the sampler cannot share a study.
    """
    if storage is not None and (is_own or find(name).alone):
        raise UserError(
            f"sharing a study: {name} may have a state that only its own trials make",
            hint="leave out STORAGE, or take another sampler, such as cmaes or tpe",
        )


def check_space(sampler: Sampler, space: Mapping[str, Knob]) -> None:
    """Refuse a space that a sampler cannot search.

    Raises:
        UserError: the sampler tries out a space, and this one has no end or is too large.
    """
    if not sampler.finite:
        return
    sizes = {name: _values(knob) for name, knob in space.items()}
    endless = [name for name, size in sizes.items() if size == math.inf]
    if endless:
        raise UserError(
            f"searching with {sampler.name}: the space has no end, because {len(endless)} knobs "
            "take any number in their range",
            hint=f"give a step, or choices, to {', '.join(endless)}",
        )
    if math.prod(sizes.values()) > MAX_SETTINGS:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        raise UserError(
            f"searching with {sampler.name}: the space has {math.prod(sizes.values()):.3g} "
            f"settings, at most {MAX_SETTINGS}",
            hint="give a larger step, or choices, to the knobs with most values: "
            + ", ".join(f"{name} ({sizes[name]:g})" for name in largest),
        )


def _values(knob: Knob) -> float:
    """How many values a knob can take; infinity for a float without a step."""
    if knob.choices is not None:
        return len(knob.choices)
    if knob.low is None or knob.high is None or knob.low == knob.high:
        return 1
    step = knob.step or (1 if knob.type == "int" else 0)
    return round((knob.high - knob.low) / step) + 1 if step else math.inf


def _top_names(text: str, during: str, file: str) -> set[str]:
    """The names that a Python file defines at its top level.

    Raises:
        UserError: it is no Python.
    """
    try:
        tree = ast.parse(text, file, feature_version=PYTHON_OF_THE_IMAGE)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(
            f"{during}: it is no Python{line}: {what}",
            hint="try it with `python -m py_compile` and Python 3.11",
        ) from error
    return {name for node in tree.body for name in _defined(node)}


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:  # an assignment, also one within `if` or `try`
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id
            elif isinstance(inner, (ast.ClassDef, ast.FunctionDef)):
                yield inner.name
