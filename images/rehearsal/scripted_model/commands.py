"""The shell commands that the scripted model sends: text only, run by the CLI in its sandbox.

They need a POSIX shell, git and python3, and use no command substitution: Gemini CLI blocks it.
Each prints what the script reads next.
"""

from __future__ import annotations

import shlex

COLUMNS = (
    "experiment", "timestamp", "commit", "hypothesis", "category", "change",
    "val_bpb", "delta", "status",
)  # fmt: skip

READ_PROGRAM = "cat program.md; git log --oneline | head -5; ls"
READ_CODE = "sed -n 1,200p train.py"
# `git reset --hard` must not take the logbook away: git is told not to see it.
KEEP_LOGBOOK = (
    "for name in experiments.csv STATUS.md; do "
    'grep -qxF "$name" .git/info/exclude || echo "$name" >> .git/info/exclude; done; '
    "git log -1 --format=head:%h; git status --short"
)

_CHANGE_KNOB = """\
import ast
text = open("train.py").read()
name = {knob!r}
found = [node for node in ast.parse(text).body if isinstance(node, (ast.Assign, ast.AnnAssign))
         and ast.unparse(getattr(node, "target", None) or node.targets[0]) == name]
if not found or found[0].lineno != found[0].end_lineno:
    raise SystemExit(f"unchanged: train.py has no constant {{name}} on one line")
node = found[0].value
lines = text.splitlines(keepends=True)
line = lines[node.lineno - 1].encode()
old = eval(line[node.col_offset:node.end_col_offset])
new = {change}
new = max(1, round(new)) if isinstance(old, int) else float(f"{{new:.4g}}")
if new == old:
    raise SystemExit(f"unchanged: {{name}} is {{old}} already")
line = line[:node.col_offset] + str(new).encode() + line[node.end_col_offset:]
lines[node.lineno - 1] = line.decode()
open("train.py", "w").writelines(lines)
print(f"changed: {{name}} {{old}} -> {{new}}")
"""

_BREAK = """\
import ast
text = open("train.py").read()
first = next(node.lineno for node in ast.parse(text).body if isinstance(node, ast.Assign))
lines = text.splitlines(keepends=True)
lines.insert(first - 1, 'raise ValueError("shapes (256, 1024) and (256, 1024) do not fit")\\n')
open("train.py", "w").writelines(lines)
print("changed: a projection before the knobs")
"""

_APPEND_ROW = """\
import csv, datetime, pathlib
columns = {columns!r}
row = {row!r}
row["timestamp"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
path = pathlib.Path("experiments.csv")
new = not path.exists()
if not new and any(r.get("experiment") == row["experiment"] for r in csv.DictReader(path.open())):
    raise SystemExit("logged already: " + row["experiment"])
with path.open("a", newline="") as file:
    writer = csv.DictWriter(file, columns)
    if new:
        writer.writeheader()
    writer.writerow(row)
print("logged:", row["experiment"], row["status"])
"""

_FILL_DISK = """\
import itertools, time
name = f"ballast-{time.time_ns()}"
for number in itertools.count():
    with open(f"{name}-{number}", "wb") as file:
        file.write(bytes(8 << 20))
    time.sleep(0.05)
"""


def change_knob(knob: str, change: str) -> str:
    """Give a constant of train.py a new value; prints `changed: NAME OLD -> NEW`."""
    return python(_CHANGE_KNOB.format(knob=knob, change=change))


def break_code() -> str:
    """Put a line into train.py that raises; prints `changed:`."""
    return python(_BREAK)


def commit(message: str) -> str:
    """Commit train.py; prints `commit:HASH`."""
    return f"git commit -qam {shlex.quote(message)} && git log -1 --format=commit:%h"


def trial(hypothesis: str, category: str) -> str:
    """Ask for a trial; prints its log and then `trial exit code: N`."""
    return _with_exit_code(["trial", "--hypothesis", hypothesis, "--category", category])


def trial_wait(number: int) -> str:
    """Wait for a trial that was asked for; prints as `trial` does."""
    return _with_exit_code(["trial", "wait", str(number)])


def append_row(row: dict[str, str]) -> str:
    """Append a row to experiments.csv, stamped with the time there; prints `logged:`."""
    return python(_APPEND_ROW.format(columns=list(COLUMNS), row=row))


def go_back(commit_hash: str) -> str:
    """Throw away whatever came after a commit; the logbook stays."""
    return f"git reset -q --hard {shlex.quote(commit_hash)}; git log --oneline | head -3"


def write_status(text: str) -> str:
    """Write STATUS.md."""
    return f"cat > STATUS.md <<'END_OF_STATUS'\n{text}\nEND_OF_STATUS\nwc -c STATUS.md"


def python(program: str) -> str:
    """Run a Python program."""
    return f"python3 - <<'END_OF_PROGRAM'\n{program}END_OF_PROGRAM"


def fill_disk() -> str:
    """Write files of 8 MB, up to 160 MB a second, until the turn is ended for it."""
    return python(_FILL_DISK)


def empty_disk() -> str:
    """Delete what `fill_disk` wrote."""
    return "rm -f ballast-*; ls"


def _with_exit_code(words: list[str]) -> str:
    return f'{shlex.join(words)}; echo "trial exit code: $?"'
