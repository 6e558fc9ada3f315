"""Records: whole or not at all, named by what decides them, and room for them before training."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ptbench import records
from ptbench.records import RecordError
from tests.recorded import whole
from tests.runs import Bench, reviews, write_rows

CELL = {"task": "sst2", "model": "tiny", "method": "finetune", "seed": 0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return records.path_of("bench", CELL, "0123abcd", tmp_path)


def test_a_record_comes_back_as_it_was_written(file: Path) -> None:
    record = whole(0, 0.1 + 0.2, error="ü\n")
    records.write(file, record)
    assert records.read(file) == {"version": records.VERSION, **record}
    assert records.finished(file)
    assert records.load("bench", file.parents[2]) == [records.read(file)]


def test_the_path_names_the_cell(file: Path, tmp_path: Path) -> None:
    assert file == tmp_path / "bench" / "sst2" / "tiny-finetune-s0-0123abcd.json"


def test_a_shorter_record_leaves_nothing_of_the_reserved_room(file: Path) -> None:
    records.reserve(file)
    records.write(file, whole(0, 0.7))
    assert file.stat().st_size < records.RESERVED / 10
    assert list(file.parent.iterdir()) == [file]


def test_what_fails_before_the_end_keeps_the_old_record(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(file, whole(0, 0.7))

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RecordError, match="could not be written: Input/output error; free some"):
        records.write(file, whole(0, None))
    assert records.read(file)["status"] == "done"


@pytest.mark.parametrize("status", ["failed", "oom", "diverged", "interrupted"])
def test_only_done_is_finished(file: Path, status: str) -> None:
    assert not records.finished(file)
    records.write(file, whole(0, None, status=status))
    assert not records.finished(file)


@pytest.mark.parametrize("text", ["", '{"version": 1, "sta', "[]", '{"status": "done"}', "\0\0"])
def test_what_is_no_record_is_named_with_the_remedy(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)
    for look in (records.read, records.finished):
        with pytest.raises(RecordError, match=rf"{file}.*; delete it and run again"):
            look(file)


LACKING: dict[str, Callable[[dict[str, Any]], object]] = {
    "cell": lambda record: record.pop("cell"),
    "cell.task": lambda record: record["cell"].pop("task"),
    "cell.task, cell.model, cell.method, cell.seed": lambda record: record.update(cell="red"),
    "config.protocol": lambda record: record["config"].pop("protocol"),
    "provenance.commit": lambda record: record["provenance"].pop("commit"),
    "scores, selection": lambda record: (record.pop("scores"), record.pop("selection")),
    "selection.metric": lambda record: record["selection"].pop("metric"),
    "rows.report": lambda record: record["rows"].pop("report"),
    "cost.total_parameters": lambda record: record["cost"].pop("total_parameters"),
}


@pytest.mark.parametrize("keys", LACKING)
def test_what_a_record_lacks_is_named_with_the_remedy(file: Path, keys: str) -> None:
    record = whole(0, 0.7)
    LACKING[keys](record)
    records.write(file, record)
    message = rf"{file} is no whole record: it lacks {keys}; mend it, or delete it and run its cell"
    with pytest.raises(RecordError, match=message):
        records.load("bench", file.parents[2])


def test_what_only_a_result_has_a_failure_does_not_lack(file: Path) -> None:
    records.write(file, whole(0, None))
    assert records.read(file)["status"] == "failed"


@pytest.fixture(params=["device that is full", "file system that is full"])
def full(request: pytest.FixtureRequest, file: Path) -> Iterator[None]:
    """No room where the record goes."""
    file.parent.mkdir(parents=True)
    if request.param == "device that is full":
        file.with_suffix(".json.tmp").symlink_to("/dev/full")
        yield
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(file.parent)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only root can mount a small file system")
    yield
    subprocess.run(["umount", str(file.parent)], check=True)


@pytest.mark.usefixtures("full")
def test_a_full_disk_is_told_before_training(file: Path) -> None:
    message = rf"no room for {file}: No space left on device; free some disk space"
    with pytest.raises(RecordError, match=message):
        records.reserve(file)


def test_a_claim_keeps_others_off_and_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RUNS", file.parents[2] / "runs")
    busy = pytest.raises(records.Busy, match="tiny-finetune-s0-0123abcd is being trained")
    with records.claimed(file):
        with busy, records.claimed(file):
            pass
        with records.claimed(file.with_name("another.json")):
            pass
    with records.claimed(file):
        pass


DECIDING = [
    "method=finetune",
    "method.prefix_length=3",
    "model.layers=1",
    "task.max_length=64",
    "train.learning_rate=0.5",
    "train.batch_size=4",
    "protocol=paper",
    "seed=1",
    "data.train_rows=10",
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.run()
    return made


@pytest.mark.parametrize("override", DECIDING)
def test_the_hash_changes_with_what_decides_the_result(bench: Bench, override: str) -> None:
    before = bench.hashes()
    bench.run(override)
    assert len(bench.hashes()) == len(before) + 1


OTHER = ["rerun=true", "tracking=wandb tracking.mode=disabled", "hydra.verbose=true"]


@pytest.mark.parametrize("overrides", OTHER)
def test_the_hash_stays_with_what_does_not(bench: Bench, overrides: str) -> None:
    before = bench.hashes()
    bench.run(*overrides.split())
    assert bench.hashes() == before


def test_the_hash_knows_the_rows_and_not_their_place(bench: Bench, tmp_path: Path) -> None:
    moved = Bench(tmp_path)
    moved.run()
    assert moved.hashes() <= bench.hashes()
    write_rows(moved.data / "sst2" / "train.jsonl", reviews(21))
    moved.run()
    assert len(moved.hashes()) == 2
