"""What holds for the project as a whole: its documents, and what may stand in a file.

Words that must stand in no file are put together from parts here, so that this file passes too.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from runner.layout import ROOT

REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("ubuntu", "com"),
        ("docker", "io/v2"),
    )
]
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]
MACHINE_PATHS = ["/wo" + "rk/", "/ro" + "ot/"]
TESTS_THAT_CANNOT_FAIL = ["pytest.mark." + "skip", "pytest." + "skip(", "pytest.mark." + "xfail"]
PATH_IN_DOCS = re.compile(
    r"`((?:runner|images|trainer|tests|docs|scripts|benchmarks|setup_prompts)/[\w./-]*)`"
)


def tracked(*patterns: str) -> list[Path]:
    """The files that git holds, as a clone would have them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def texts(*patterns: str) -> Iterator[tuple[str, str]]:
    """Name and text of each tracked file that is text."""
    for path in tracked(*patterns):
        content = path.read_bytes()
        if b"\0" not in content:
            yield str(path.relative_to(ROOT)), content.decode()


def holding(words: list[str], *patterns: str) -> list[str]:
    """`file: word` for each tracked file that holds one of the words."""
    return [f"{name}: {word}" for name, text in texts(*patterns) for word in words if word in text]


def imports(path: Path) -> set[str]:
    """The top-level names that a Python file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).partition(".")[0])
    return names


# --- documents ------------------------------------------------------------------------------------


def test_paths_named_in_the_documents_are_there() -> None:
    """A document that names a lost file or folder is out of date."""
    named = {
        (document, path) for document, text in texts("*.md") for path in PATH_IN_DOCS.findall(text)
    }
    assert named
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).exists()] == []


def test_links_between_the_documents_lead_somewhere() -> None:
    """Relative links of the README and the documents name files that are there."""
    broken = [
        (document, link)
        for document, text in texts("*.md")
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
        if not (ROOT / document).parent.joinpath(link).exists()
    ]
    assert broken == []


def test_commands_quoted_in_the_documents_are_targets() -> None:
    """Every `make X` that a reader may copy is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    quoted = {
        target
        for _, text in texts("README.md", "docs/*.md")
        for target in re.findall(r"(?:^|`|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    assert {"demo", "test", "run"} <= quoted
    assert quoted <= targets


def test_make_help_shows_what_people_call() -> None:
    """Each target says what it does, but for the two that only stand below others."""
    text = (ROOT / "Makefile").read_text()
    documented = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) - documented == {"ready", "venv"}


# --- what may stand in a file ---------------------------------------------------------------------


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the configuration of each machine, not ours."""
    assert holding(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """What works only where it was written does not work."""
    assert holding(MACHINE_PATHS) == []


def test_nothing_is_left_unfinished() -> None:
    """No note to oneself and no function that is yet to be written."""
    assert holding(UNFINISHED) == []


def test_no_test_is_left_out() -> None:
    """A test that is left out says nothing; a missing engine is a failure."""
    assert holding(TESTS_THAT_CANNOT_FAIL, "tests/*.py") == []


def test_every_test_says_what_it_holds() -> None:
    """Each test function has a docstring whose first line is a sentence."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in tracked("tests/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").rstrip().endswith((".", "?", "!", "`", ")"))
    ]
    assert silent == []


# --- who imports what -----------------------------------------------------------------------------


def test_only_one_module_imports_docker() -> None:
    """Everything that happens to a container goes through `runner/engine.py`."""
    importing = [
        str(path.relative_to(ROOT))
        for path in tracked("runner/*.py", "trainer/*.py", "images/*.py", "benchmarks/*.py")
        if "docker" in imports(path)
    ]
    assert importing == ["runner/engine.py"]


def test_programs_in_images_know_nothing_of_the_host() -> None:
    """What runs in a container shares `protocol.py` with the runner and nothing else."""
    importing = [
        str(path.relative_to(ROOT))
        for path in tracked("images/*.py", "trainer/*.py")
        if "runner" in imports(path)
    ]
    assert importing == []


def test_the_shared_protocol_needs_the_standard_library_alone() -> None:
    """It is copied into images that hold none of the host's packages."""
    allowed = {"__future__", "dataclasses", "json", "typing"}
    assert imports(ROOT / "runner/protocol.py") <= allowed
