"""Records of several machines brought together: what comes in, what stays, what is refused."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ptbench import merge as merging
from ptbench import records
from ptbench.merge import Merged, MergeError
from tests.recorded import whole

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a record, and predictions if some are given, into a checkout of that name."""

    def made(checkout: str, record: dict[str, Any], predictions: bytes | None = None) -> Path:
        results = tmp_path / checkout / "results"
        file = records.path_of("pair", record["cell"], record["hash"], results / "records")
        records.write(file, record)
        if predictions is not None:
            beside = results / "predictions" / file.relative_to(results / "records")
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.with_suffix(".parquet").write_bytes(predictions)
        return file

    return made


@pytest.fixture
def merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Merged]:
    """Merges checkouts of those names into `ours`."""
    monkeypatch.setattr(records, "RUNS", tmp_path / "runs")
    ours = tmp_path / "ours" / "results"
    into = partial(
        merging.merge, records=ours / "records", predictions=ours / "predictions"
    )  # what the defaults are in a checkout
    return lambda *names, **options: into([tmp_path / name for name in names], **options)


def ours(tmp_path: Path, pattern: str) -> list[Path]:
    return sorted((tmp_path / "ours").rglob(pattern))


def test_new_records_come_in_to_the_byte_with_their_predictions(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    first, second = make("a", whole(0, 0.7), b"p0"), make("b", whole(1, 0.8))
    merged = merge("a", "b/results")
    assert (len(merged.taken), merged.same, merged.kept, merged.refused) == (2, 0, 0, [])
    found = ours(tmp_path, "*.json")
    assert [file.read_bytes() for file in found] == [first.read_bytes(), second.read_bytes()]
    assert [file.read_bytes() for file in ours(tmp_path, "*.parquet")] == [b"p0"]
    assert ours(tmp_path, "*.tmp") == []
    again = merge("a", "b")
    assert (again.taken, again.same, again.kept, again.refused) == ([], 2, 0, [])


def test_a_record_of_version_1_stays_one(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    file = make("a", whole(0, 0.7, version=1))
    assert len(merge("a").taken) == 1
    assert ours(tmp_path, "*.json")[0].read_bytes() == file.read_bytes()


def test_a_finished_record_beats_a_failed_one_on_either_side(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    make("ours", whole(0, None))
    make("a", whole(0, 0.7))
    make("ours", whole(1, 0.8))
    make("a", whole(1, None))
    merged = merge("a")
    assert (len(merged.taken), merged.same, merged.kept, merged.refused) == (1, 0, 1, [])
    assert [records.read(file)["status"] for file in ours(tmp_path, "*.json")] == ["done", "done"]


def test_a_second_run_with_the_same_scores_is_no_conflict(
    make: Make, merge: Callable[..., Merged]
) -> None:
    slower = whole(0, 0.7)
    slower["cost"] = {**slower["cost"], "train_seconds": 9.0}
    make("ours", whole(0, 0.7))
    make("a", slower)
    merged = merge("a")
    assert (merged.taken, merged.same, merged.kept, merged.refused) == ([], 0, 1, [])


def test_a_conflict_names_files_scores_and_commits_and_takes_nothing_of_it(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    theirs = whole(0, 0.75, provenance=whole(0, 0.7)["provenance"] | {"commit": "facade"})
    mine = make("ours", whole(0, 0.7))
    other = make("a", theirs, b"p0")
    make("a", whole(1, 0.8))
    before = mine.read_bytes()
    merged = merge("a")
    (message,) = merged.refused
    for said in (str(mine), str(other), "accuracy 0.7;", "accuracy 0.75", "c0ffee", "facade"):
        assert said in message
    assert "delete its file" in message
    assert [name.name for name in merged.taken] == ["tiny-finetune-s1-00000001.json"]
    assert mine.read_bytes() == before
    assert ours(tmp_path, "*.parquet") == []


def test_two_others_that_contradict_each_other_both_stay_out(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    make("a", whole(0, 0.7))
    make("b", whole(0, 0.8))
    merged = merge("a", "b")
    assert len(merged.refused) == 1
    assert ours(tmp_path, "*.json") == []


def test_missing_predictions_of_an_equal_record_come_in(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    make("ours", whole(0, 0.7))
    make("a", whole(0, 0.7), b"p0")
    assert merge("a").same == 1
    assert [file.read_bytes() for file in ours(tmp_path, "*.parquet")] == [b"p0"]


def test_a_dry_run_says_the_same_and_copies_nothing(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    make("a", whole(0, 0.7), b"p0")
    assert len(merge("a", dry_run=True).taken) == 1
    assert ours(tmp_path, "*") == []


def test_what_is_corrupt_or_has_not_the_form_is_refused_by_name(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    half = make("a", whole(0, 0.7))
    half.write_text(half.read_text()[:99])
    wrong = make("a", whole(1, 0.7, status="ended"))
    make("a", whole(2, 0.7))
    merged = merge("a")
    assert len(merged.taken) == 1
    assert f"{half} cannot be read" in merged.refused[0]
    assert any(f"{wrong}: status: 'ended' is not one of" in reason for reason in merged.refused)
    assert all("delete" in reason for reason in merged.refused)


def test_what_comes_in_of_uncommitted_code_is_told(
    make: Make, merge: Callable[..., Merged]
) -> None:
    make("a", whole(0, 0.7))
    make("a", whole(1, 0.7, provenance=whole(1, 0.7)["provenance"] | {"dirty": True}))
    (note,) = merge("a").notes
    assert "1 of 2 records were made from a tree with uncommitted changes (hash 00000001)" in note
    assert merge("a").notes == [], "of what was there already nothing is said"


def test_a_cell_that_is_being_trained_is_left_alone(
    tmp_path: Path, make: Make, merge: Callable[..., Merged]
) -> None:
    name = make("a", whole(0, 0.7)).relative_to(tmp_path / "a" / "results")
    with records.claimed(tmp_path / "ours" / "results" / name):
        merged = merge("a")
    assert merged.taken == []
    assert "is being trained by another process; merge again" in merged.refused[0]


def test_a_folder_without_records_is_named(tmp_path: Path, merge: Callable[..., Merged]) -> None:
    with pytest.raises(MergeError, match=rf"{tmp_path}/nothing: .*name another checkout"):
        merge("nothing")


def test_a_copy_that_fails_leaves_nothing_of_the_file(
    tmp_path: Path, make: Make, merge: Callable[..., Merged], monkeypatch: pytest.MonkeyPatch
) -> None:
    make("a", whole(0, 0.7))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MergeError, match="No space left on device; free some disk space"):
        merge("a")
    assert [file for file in ours(tmp_path, "*") if file.is_file()] == []


def test_the_command_ends_with_status_1_at_a_conflict(
    tmp_path: Path, make: Make, merge: Callable[..., Merged], monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from ptbench.cli import app

    monkeypatch.setattr(merging, "merge", lambda folders, dry_run: merge(*folders, dry_run=dry_run))
    make("a", whole(0, 0.7))
    came = CliRunner().invoke(app, ["merge", "a"])
    assert (came.exit_code, came.output.splitlines()[-1]) == (
        0,
        "taken 1, the same 0, ours kept 0, refused 0",
    )
    make("b", whole(0, 0.8))
    refused = CliRunner().invoke(app, ["merge", "a", "b", "--dry-run"])
    assert refused.exit_code == 1
    assert "refused: two results of one cell" in refused.output
    assert json.loads(ours(tmp_path, "*.json")[0].read_text())["scores"]["test"]["accuracy"] == 0.7
