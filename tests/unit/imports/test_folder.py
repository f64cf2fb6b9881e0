"""An import is kept in a folder, and comes back from it as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import HostError, UserError
from runner.imports.asked import Asked
from runner.imports.folder import check_name, write_import
from runner.records.files import read_lines
from runner.records.imported import Imported, ImportedTrial
from runner.results import dataframes
from tests.unit.imports.conftest import Read

LOG = "method,seed,val_loss,params_lr\na,0,2.5,0.1\na,1,2.25,0.2\nb,0,3.5,0.1\nb,1,3.25,0.3\n"


def test_what_was_written_is_read_back(read: Read, tmp_path: Path) -> None:
    """Both records, and the tables that analysis works on."""
    imported, trials = read(LOG, Asked("finals"), name="finals.csv")
    place = write_import(tmp_path / "imports", imported, trials)
    assert Imported.model_validate_json((place / "import.json").read_bytes()) == imported
    assert list(read_lines(place / "trials.jsonl", ImportedTrial)) == trials
    frames = dataframes.read(tmp_path / "imports")
    assert list(frames.runs["contestant"]) == ["a", "a", "b", "b"]
    assert list(frames.runs["best"]) == [2.5, 2.25, 3.5, 3.25]
    assert set(frames.runs["direction"]) == {"minimize"}
    assert list(frames.knobs["number"]) == [0.1, 0.2, 0.1, 0.3]


def test_a_lone_surrogate_in_json_is_no_obstacle(read: Read, tmp_path: Path) -> None:
    """It is written as a question mark."""
    text = '{"loss": 2.5, "status": "keep", "description": "\\ud800"}\n'
    imported, trials = read(text, name="log.jsonl")
    place = write_import(tmp_path, imported, trials)
    assert [trial.change for trial in read_lines(place / "trials.jsonl", ImportedTrial)] == ["?"]


def test_the_same_file_again_replaces_its_import(read: Read, tmp_path: Path) -> None:
    """Such as with another direction; another file must have another name."""
    imported, trials = read(LOG, Asked("finals"), name="finals.csv")
    write_import(tmp_path, imported, trials)
    again, trials = read(LOG, Asked("finals", direction="maximize"), name="finals.csv")
    place = write_import(tmp_path, again, trials)
    assert '"maximize"' in (place / "import.json").read_text()
    other, trials = read(LOG.replace("2.5", "2.75"), Asked("finals"), name="finals.csv")
    with pytest.raises(UserError, match="holds something else"):
        write_import(tmp_path, other, trials)
    assert '"maximize"' in (place / "import.json").read_text()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-x", "a b", "x" * 61, "模型"])
def test_names_that_no_folder_should_have(name: str) -> None:
    """They are refused before anything is read."""
    with pytest.raises(UserError, match="no name for a folder"):
        check_name(name)


def test_a_place_that_cannot_be_written(read: Read, tmp_path: Path) -> None:
    """It is an error of the host's."""
    imported, trials = read(LOG, Asked("finals"), name="finals.csv")
    (tmp_path / "imports").write_text("a file")
    with pytest.raises(HostError, match="writing"):
        write_import(tmp_path / "imports", imported, trials)
