"""Rules for the project as a whole: its documents, its folders, and what a file may contain.

Words that no file may contain are put together from parts here, so that this file passes too.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from runner import errors
from runner.records.layout import ROOT

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
ARCHITECTURE = "docs/architecture.md"
MODULES_IN_A_FOLDER = 15
LINES_OF_A_MODULE = 350
LONG_MODULES = {"trainer/train.py"}  # contestants edit it, so it is one file
# Names of classes that only their author understood.
WHIMSICAL_NAMES = {
    "Conduct", "Props", "Stage", "Drawer", "Turnstile", "Door", "Voice", "Workshop", "Intake",
}  # fmt: skip
QUESTIONS = {"the lock", "the clock", "the dollar cap", "a new CLI", "a new sampler", "a new task"}
# The options of a run are read in runner/options/; the others ask about this machine.
READERS_OF_THE_ENVIRONMENT = {
    "runner/options/environment.py": "the user's key, and everything else that a run is made of",
    "runner/engine/address.py": "DOCKER_CONTEXT: which engine",
    "runner/build/debian.py": "BAKEOFF_BASE and PATH: what the base image is made of",
    "runner/build/certificates.py": "the variables that name this machine's CA certificates",
    "runner/cli/streams.py": "COLUMNS: the width of the terminal",
    "runner/referee/rules.py": "nothing: its rules name what a train.py may do",
}


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


def defined(path: Path) -> set[str]:
    """The names of classes, methods and functions in a Python file, and of its module values."""
    tree = ast.parse(path.read_text())
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    names = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
    values = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return names | {it.id for node in values for it in ast.walk(node) if isinstance(it, ast.Name)}


def section(document: str, title: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)",
        (ROOT / document).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert found, f"{document} has no section {title!r}"
    return found[1]


def module_folders() -> set[str]:
    """Each folder with Python modules under runner/ and images/."""
    modules = tracked("runner/*.py", "images/*.py")
    return {str(path.parent.relative_to(ROOT)) for path in modules}


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
    """Every path in backticks that a document names is there."""
    named = {
        (document, path) for document, text in texts("*.md") for path in PATH_IN_DOCS.findall(text)
    }
    assert named
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).exists()] == []
    tests = {path.name for path in tracked("tests/*.py")}
    cited = {
        (document, name)
        for document, text in texts("*.md")
        for name in re.findall(r"`(test_\w+\.py)`", text)
    }
    assert cited
    assert [pair for pair in sorted(cited) if pair[1] not in tests] == []


def test_links_between_the_documents_lead_somewhere() -> None:
    """Every relative link in the README and the documents names a file that is there."""
    broken = [
        (document, link)
        for document, text in texts("*.md")
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
        if not (ROOT / document).parent.joinpath(link).exists()
    ]
    assert broken == []


def test_commands_quoted_in_the_documents_are_targets() -> None:
    """Every `make X` that the documents quote is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    quoted = {
        target
        for _, text in texts("README.md", "docs/*.md")
        for target in re.findall(r"(?:^|`|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    assert {"demo", "test", "run"} <= quoted
    assert quoted <= targets


def test_make_help_shows_what_people_call() -> None:
    """Each target says what it does, except the two that only other targets use."""
    text = (ROOT / "Makefile").read_text()
    documented = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) - documented == {"ready", "venv"}


def test_each_folder_is_named_in_the_architecture() -> None:
    """The section "Folders" has a line for each folder of code under runner/ and images/."""
    text = section(ARCHITECTURE, "Folders")
    lines = re.findall(r"^- `((?:runner|images)/[\w/]*)`: \S", text, re.MULTILINE)
    named = {line.rstrip("/") for line in lines}
    images = {str(path.parent.relative_to(ROOT)) for path in tracked("images/*/Dockerfile")}
    clis = {folder for folder in module_folders() if folder.startswith("images/agent/")}
    assert "\n- `images/agent/<cli>/`: " in text  # one line for all of them: a new one adds none
    assert (module_folders() | images) - clis - named == set()
    assert [folder for folder in sorted(named) if not (ROOT / folder).is_dir()] == []


def test_a_newcomer_is_led_to_what_exists() -> None:
    """Each row of "Where to look" names files that exist and names that they define."""
    rows = re.findall(
        r"^\| \*\*(.+?)\*\* \| (.+) \|$", section(ARCHITECTURE, "Where to look"), re.M
    )
    assert {question for question, _ in rows} >= QUESTIONS
    lost = []
    for question, answer in rows:
        files = [ROOT / path for path in PATH_IN_DOCS.findall(answer)]
        assert files, question
        code = [path for path in files if path.suffix == ".py" and path.exists()]
        names = set(re.findall(r"`([A-Za-z_]\w*)`", answer))
        known = set().union(*map(defined, code)) if code else set()
        lost += [f"{question}: {path}" for path in files if not path.exists()]
        lost += [f"{question}: {name}" for name in sorted(names - known)]
    assert lost == []


def test_classes_named_in_the_architecture_are_there() -> None:
    """Each name in backticks that looks like a class is a class of this project."""
    classes = {
        node.name
        for path in tracked("runner/*.py", "images/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    text = (ROOT / ARCHITECTURE).read_text()
    named = set(re.findall(r"`((?:[A-Z][a-z]+){2,})(?:\.\w+)?`", text))
    assert {"RunLoop", "TrialQueue"} <= named
    assert named - classes == set()


def test_the_architecture_has_the_layers_of_the_contract() -> None:
    """The section "Layers" lists what import-linter holds, in the same order."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in contract["contracts"] if one["type"] == "layers")
    held = [re.findall(r"\w+", layer) for layer in layers]
    lines = re.findall(r"^\d+\. (`.+)$", section(ARCHITECTURE, "Layers"), re.MULTILINE)
    assert [re.findall(r"`(\w+)`", line) for line in lines] == held


def test_the_readme_has_each_folder() -> None:
    """The table of folders in the README has every folder at the top of the checkout."""
    text = section("README.md", "Where things live")
    rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)/`", row)}
    tops = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    assert {name for name in tops if not name.startswith(".")} == named - {"runs", "results"}


def test_volumes_beside_the_data_are_named_in_the_architecture() -> None:
    """A volume or container that preparing data makes for a moment has its name explained."""
    suffixes = set(re.findall(r"\{volume\}(-\w+)", (ROOT / "runner/task_data.py").read_text()))
    text = section(ARCHITECTURE, "Containers of a run")
    assert suffixes
    assert [suffix for suffix in sorted(suffixes) if f"{suffix}`" not in text] == []


# --- folders, modules and names -------------------------------------------------------------------


def test_a_folder_has_few_modules() -> None:
    """A folder that has more than 15 modules is to be divided by its nouns."""
    counts = {
        folder: len([p for p in tracked(f"{folder}/*.py") if p.parent == ROOT / folder])
        for folder in module_folders()
    }
    assert {name: n for name, n in counts.items() if n > MODULES_IN_A_FOLDER} == {}


def test_a_module_is_short() -> None:
    """A module of more than 350 lines holds more than one thing."""
    long = {
        name: lines
        for name, text in texts("*.py")
        if not name.startswith("tests/")
        and name not in LONG_MODULES
        and (lines := len(text.splitlines())) > LINES_OF_A_MODULE
    }
    assert long == {}


def test_classes_have_names_of_the_field() -> None:
    """No class has a name that a newcomer would have to be told."""
    whimsical = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in tracked("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name in WHIMSICAL_NAMES
    ]
    assert whimsical == []


def test_every_exception_is_in_the_tree_or_named_beside_it() -> None:
    """errors.py draws the tree and names the exceptions outside it; wire/ goes into images."""
    raised = {
        node.name
        for path in tracked("runner/*.py")
        if path.parent != ROOT / "runner/wire"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"(Error|Exception)$", ast.unparse(base)) for base in node.bases)
    }
    drawn = set(re.findall(r"\w+Error\b", errors.__doc__ or ""))
    assert raised == drawn


def test_the_environment_is_read_in_named_places() -> None:
    """What a run is does not change after its options were read, whatever the shell exports."""
    reading = {
        name for name, text in texts("runner/*.py") if re.search(r"\bos\.(environ|getenv)\b", text)
    }
    assert reading == set(READERS_OF_THE_ENVIRONMENT)


# --- what a file may contain ---------------------------------------------------------------------


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is each machine's own configuration."""
    assert holding(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """No file contains a path that exists on its author's machine only."""
    assert holding(MACHINE_PATHS) == []


def test_nothing_is_left_unfinished() -> None:
    """No file contains a note to its author or an unwritten function."""
    assert holding(UNFINISHED) == []


def test_no_test_is_left_out() -> None:
    """No test is skipped or expected to fail; a missing engine is a failure."""
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


def test_only_the_engines_folder_imports_docker() -> None:
    """Everything that happens to a container goes through `runner/engine/`."""
    importing = {
        str(path.relative_to(ROOT).parent)
        for path in tracked("runner/*.py", "trainer/*.py", "images/*.py", "benchmarks/*.py")
        if "docker" in imports(path)
    }
    assert importing == {"runner/engine", "runner/engine/files"}


def test_programs_in_images_know_nothing_of_the_host() -> None:
    """What runs in a container shares `runner/wire/` with the runner and nothing else."""
    importing = [
        str(path.relative_to(ROOT))
        for path in tracked("images/*.py", "trainer/*.py")
        if "runner" in imports(path)
    ]
    assert importing == []


def test_what_every_image_gets_needs_the_standard_library_alone() -> None:
    """runner/wire/ is copied into images that have none of the host's packages."""
    shared = tracked("runner/wire/*.py")
    allowed = sys.stdlib_module_names | {path.stem for path in shared}
    assert {path.name for path in shared} >= {
        "messages.py",
        "protocol.py",
        "start_config.py",
        "pid1.py",
    }
    assert {path.name: imports(path) - allowed for path in shared if imports(path) - allowed} == {}
