"""The form of a record: the schema, the records that are kept here, and those of older versions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptbench import records, schema, upgrades
from ptbench.paths import RECORDS
from ptbench.records import RecordError
from tests.runs import Bench

FILES = sorted(RECORDS.glob("*/*/*.json"))
Record = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a cell that has just been trained."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.run()
    return bench.files()[0]


@pytest.fixture
def change(made: Path, tmp_path: Path) -> Callable[[Callable[[Record], object]], Path]:
    """A copy of that file with a change to its record."""

    def changed(by: Callable[[Record], object]) -> Path:
        record = json.loads(made.read_text())
        by(record)
        file = tmp_path / made.relative_to(made.parents[2])
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(record))
        return file

    return changed


def test_all_records_of_this_repository_have_the_form() -> None:
    assert FILES
    assert [fault for file in FILES for fault in schema.faults(file)] == []


def test_what_is_written_now_has_the_form_and_its_version(made: Path) -> None:
    assert schema.faults(made) == []
    assert json.loads(made.read_text())["version"] == records.VERSION


def test_the_schema_is_a_schema_and_of_the_version_that_is_written() -> None:
    from jsonschema import Draft202012Validator

    said = json.loads(schema.SCHEMA.read_text())
    Draft202012Validator.check_schema(said)
    assert said["properties"]["version"]["const"] == records.VERSION


def test_a_failed_run_has_the_form(change: Callable[..., Path]) -> None:
    def fail(record: Record) -> None:
        for part in ("adaptation", "scores", "selection", "curve", "cost"):
            del record[part]
        record.update(status="oom", error="CUDA out of memory")

    assert schema.faults(change(fail)) == []


WRONG: dict[str, tuple[Callable[[Record], object], str]] = {
    "part missing": (lambda r: r["curve"][0].pop("loss"), r"curve\.0: 'loss' is a required prop"),
    "part unknown": (lambda r: r.update(score=1), r"the record: .*\('score' was unexpected\)"),
    "type": (
        lambda r: r["cost"].update(train_seconds="long"),
        r"cost\.train_seconds: 'long' is not of type 'number'",
    ),
    "seed": (lambda r: r["cell"].update(seed=-1), r"cell\.seed: -1 is less than the minimum of 0"),
    "status": (lambda r: r.update(status="ended"), r"status: 'ended' is not one of \['done', "),
    "done with an error": (lambda r: r.update(error="?"), r"error: '\?' is not of type 'null'"),
    "failed without": (lambda r: r.update(status="failed"), r"error: None is not of type 'string'"),
    "splits": (
        lambda r: r["scores"].update(other={"f1": 1}),
        r"scores: .* has too many properties",
    ),
    "place": (
        lambda r: r.update(hash="00000000"),
        r"belong to bench/sst2/tiny-ptuning_v2-s0-00000000\.json",
    ),
}


@pytest.mark.parametrize(("by", "message"), WRONG.values(), ids=list(WRONG))
def test_a_fault_is_told_with_file_key_value_and_remedy(
    change: Callable[..., Path], by: Callable[[Record], object], message: str
) -> None:
    import re

    file = change(by)
    faults = schema.faults(file)
    assert all(fault.startswith(str(file)) and "; mend it, or delete" in fault for fault in faults)
    assert any(re.search(message, fault) for fault in faults), faults


def test_what_is_not_json_is_told_as_in_loading(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "half.json"
    file.write_text(made.read_text()[:500])
    with pytest.raises(RecordError, match=rf"{file} cannot be read .*line .*delete it and run"):
        schema.faults(file)


def first_version(record: Record) -> None:
    for part in ("random_floor", "left_out", "jackknife"):
        del record[part]
    record["version"] = 1


def test_a_record_of_version_1_is_read_in_todays_form_and_its_file_left_alone(
    change: Callable[..., Path],
) -> None:
    file = change(first_version)
    before = file.read_bytes()
    record = records.read(file)
    assert record["version"] == records.VERSION
    assert (record["random_floor"], record["left_out"], record["jackknife"]) == (None, None, None)
    assert schema.faults(file) == []
    assert file.read_bytes() == before


def test_what_a_record_of_version_1_has_is_kept(change: Callable[..., Path]) -> None:
    file = change(lambda record: record.update(version=1))
    assert records.read(file)["jackknife"] == json.loads(file.read_text())["jackknife"]


def test_there_is_a_step_from_every_version_to_the_next() -> None:
    assert sorted(upgrades.STEPS) == list(range(1, upgrades.VERSION))


def test_steps_are_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(number: int) -> Callable[[Record], Record]:
        return lambda record: {**record, "steps": [*record.get("steps", []), number]}

    monkeypatch.setattr(upgrades, "STEPS", {1: step(1), 2: step(2), 3: step(3)})
    monkeypatch.setattr(upgrades, "VERSION", 4)
    assert upgrades.upgraded({"version": 2}) == {"version": 4, "steps": [2, 3]}


@pytest.mark.parametrize("version", [records.VERSION + 1, 99])
def test_a_newer_version_asks_for_a_newer_checkout(
    change: Callable[..., Path], version: int
) -> None:
    file = change(lambda record: record.update(version=version))
    with pytest.raises(RecordError, match=rf"{file}: version {version} is newer .*; update the"):
        records.read(file)


@pytest.mark.parametrize("version", [None, "1", 0, []])
def test_a_file_without_a_version_is_no_record(change: Callable[..., Path], version: Any) -> None:
    file = change(lambda record: record.update(version=version))
    with pytest.raises(RecordError, match=rf"{file} is no record: its version is .*delete it and"):
        records.read(file)
