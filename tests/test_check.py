"""The kept tables are what the kept records give; a difference, a bad record is told by name."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ptbench import check as checking
from ptbench import plots, records, tables
from ptbench.check import check
from ptbench.cli import app
from ptbench.paths import TABLES
from tests.recorded import whole


def test_all_tables_of_this_repository_are_what_their_records_give() -> None:
    report = check()
    assert report.faults == []
    kept = {file.name for file in TABLES.glob("*")}
    assert {*report.tables, *report.left_out} == kept
    assert report.left_out == ["families.md"], "made by benchmarks/families_table.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records and the table of a sweep that no file describes."""
    for seed, score in enumerate((0.7, 0.8)):
        record = whole(seed, score)
        records.write(
            records.path_of("pair", record["cell"], record["hash"], tmp_path / "records"), record
        )
    tables.write(tables.table(records.load("pair", tmp_path / "records"), None), tmp_path / "table")
    (tmp_path / "table" / "other.md").write_text("made elsewhere\n")
    return tmp_path


@pytest.fixture
def report(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checking.sweeps, "find", lambda _: None)
    return lambda: check(folder / "records", folder / "table")


def files(folder: Path) -> list[Path]:
    return sorted((folder / "records").rglob("*.json"))


def test_what_is_as_it_should_be_has_no_fault(report) -> None:
    found = report()
    assert (found.records, found.tables, found.left_out) == (
        2,
        ["pair.md", "pair.csv", "pair.tex"],
        ["other.md"],
    )
    assert (found.faults, found.notes) == ([], [])


def test_the_first_line_that_differs_is_told_with_the_remedy(folder: Path, report) -> None:
    file = folder / "table" / "pair.md"
    file.write_text(file.read_text().replace("75.0 ± 7.1", "79.0 ± 7.1"))
    (fault,) = report().faults
    assert fault.startswith(f"{file}, line 6: has '| ")
    assert "79.0 ± 7.1" in fault and "75.0 ± 7.1" in fault
    assert "`ptbench table pair`" in fault


@pytest.mark.parametrize("cut", [-1, 40])
def test_a_table_that_ends_early_differs(folder: Path, report, cut: int) -> None:
    file = folder / "table" / "pair.csv"
    file.write_text(file.read_text()[:cut])
    assert "pair.csv, line " in report().faults[0]


def test_a_record_added_since_is_a_difference_in_all_forms(folder: Path, report) -> None:
    record = whole(2, 0.9)
    records.write(
        records.path_of("pair", record["cell"], record["hash"], folder / "records"), record
    )
    assert [fault.partition(",")[0] for fault in report().faults] == [
        str(folder / "table" / name) for name in ("pair.md", "pair.csv", "pair.tex")
    ]


def test_a_corrupt_record_and_one_of_another_form_are_told(folder: Path, report) -> None:
    half, wrong = files(folder)
    half.write_text(half.read_text()[:50])
    wrong.write_text(json.dumps({**json.loads(wrong.read_text()), "status": "ended"}))
    faults = report().faults
    assert f"{half} cannot be read" in faults[0] and "delete it and run again" in faults[0]
    assert any(f"{wrong}: status: 'ended' is not one of" in fault for fault in faults)


def test_records_of_uncommitted_code_are_told_with_the_remedy(folder: Path, report) -> None:
    record = json.loads(files(folder)[0].read_text())
    record["provenance"]["dirty"] = True
    files(folder)[0].write_text(json.dumps(record))
    (note,) = report().notes
    assert "1 of 2 records were made from a tree with uncommitted changes (hash 00000000)" in note
    assert "commit the changes and train these cells anew (rerun=true)" in note


def test_two_results_of_one_cell_are_told_as_the_table_tells_them(folder: Path, report) -> None:
    record = whole(0, 0.9, hash="ffffffff")
    records.write(
        records.path_of("pair", record["cell"], record["hash"], folder / "records"), record
    )
    (fault,) = report().faults
    assert "two finished records for one cell" in fault and "delete" in fault


def test_the_command_fails_where_there_is_a_fault(
    folder: Path, report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "check", report)
    sound = CliRunner().invoke(app, ["check"])
    assert sound.exit_code == 0
    assert "3 tables as their 2 records have them; no sweep's table: other.md" in sound.output
    files(folder)[0].write_text("")
    assert CliRunner().invoke(app, ["check"]).exit_code == 1


def test_a_plot_of_uncommitted_code_is_drawn_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [whole(0, 0.7), whole(1, 0.7)]
    found[1]["provenance"]["dirty"] = True
    monkeypatch.setattr(records, "load", lambda _: found)
    monkeypatch.setattr(checking.sweeps, "find", lambda _: None)
    monkeypatch.setattr(plots, "plot", lambda *_: [Path("pair.svg")])
    done = CliRunner().invoke(app, ["plot", "pair"])
    assert done.exit_code == 0 and "wrote pair.svg" in done.stdout
    assert "warning: 1 of 2 records were made from a tree with uncommitted changes" in done.stderr
    assert "commit the changes and train these cells anew" in done.stderr
