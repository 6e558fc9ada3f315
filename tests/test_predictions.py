"""Predictions kept beside a record: what comes back, what it scores, and what goes wrong."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from ptbench import paired, predictions, records
from ptbench.predictions import Predictions, PredictionsError, aligned, file_of
from ptbench.run import build_cell
from tests.runs import Bench, composed

NER = ("task=pocket_ner", "task.train=20", "task.validation=6", "task.test=30", "data.root=null")
FORMS = {
    "labels": Predictions([1, 0], [0, 0]),
    "numbers": Predictions([0.1 + 0.2, 5e-324], [1.0, -2.5]),
    "tags": Predictions([["B-PER", "O"], []], [["O", "O"], []]),
    "texts": Predictions(['„ü"\n', ""], [["a", "b"], ["c"]]),
    "answers": Predictions([[0, 4]], [{"context": "a b", "answers": ["b"]}]),
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def two(bench: Bench) -> list[dict[str, Any]]:
    """Two methods on the same examples."""
    return [bench.run("method=finetune"), bench.run("method=ptuning_v2")]


def folder(bench: Bench) -> Path:
    return bench.folder / "predictions"


@pytest.mark.parametrize("name", FORMS)
def test_they_come_back_as_they_were_written(name: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / "one.parquet"
    predictions.write(file, FORMS[name])
    assert predictions.read(file) == FORMS[name]
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("overrides", [(), NER], ids=["labels", "tags"])
def test_a_cell_keeps_what_its_record_scores(bench: Bench, overrides: tuple[str, ...]) -> None:
    record = bench.run(*overrides)
    file = file_of("bench", record, folder(bench))
    assert file.stem == bench.files()[0].stem
    kept = predictions.read(file)
    kind = build_cell(composed(*bench.cell, *overrides)).task.asks
    (scores,) = record["scores"].values()
    assert kind.score(*kept) == scores
    main = paired.left_out(lambda *pair: kind.score(*pair)[kind.main_metric], *kept)
    assert record["jackknife"] == {
        "references": records.digest({"references": kept.references}),
        "scores": main,
    }
    assert len(main) == min(paired.GROUPS, record["rows"]["report"])


def test_they_are_there_before_the_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[Path]] = []
    write = records.write

    def look(*arguments: Any) -> None:
        found.append(list(folder(bench).rglob("*.parquet")))
        write(*arguments)

    monkeypatch.setattr(records, "write", look)
    bench.run()
    assert len(found[0]) == 1


def test_without_them_the_record_is_the_same(bench: Bench) -> None:
    without = bench.run("predictions=false")
    assert not folder(bench).exists()
    with_ = bench.run("rerun=true")
    assert without["config"] == with_["config"]
    assert without["jackknife"] == with_["jackknife"]
    assert len(bench.files()) == 1


def test_two_methods_are_aligned(bench: Bench, two: list[dict[str, Any]]) -> None:
    found, references = aligned("bench", two, folder(bench))
    assert references == [n % 2 for n in range(6)]
    for predicted, record in zip(found, two, strict=True):
        right = sum(a == b for a, b in zip(predicted, references, strict=True))
        assert record["scores"]["validation"]["accuracy"] == right / 6


def change(file: Path, **columns: Any) -> None:
    old = predictions.read(file)
    predictions.write(file, old._replace(**columns))


def test_other_examples_are_named(bench: Bench, two: list[dict[str, Any]]) -> None:
    file = file_of("bench", two[1], folder(bench))
    change(file, references=[0, 1, 0, 1, 1, 1])
    with pytest.raises(
        PredictionsError, match=r"different examples, from example 4 on; train both"
    ):
        aligned("bench", two, folder(bench))


def test_a_file_of_another_record_is_named(bench: Bench, two: list[dict[str, Any]]) -> None:
    file = file_of("bench", two[1], folder(bench))
    change(file, found=[0], references=[0])
    with pytest.raises(PredictionsError, match="has 1 examples, its record 6; delete it and train"):
        aligned("bench", two, folder(bench))


def test_a_missing_file_is_named_with_its_remedy(bench: Bench, two: list[dict[str, Any]]) -> None:
    file = file_of("bench", two[0], folder(bench))
    file.unlink()
    with pytest.raises(PredictionsError, match=rf"{re.escape(str(file))} is missing: .*rerun=true"):
        aligned("bench", two, folder(bench))


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def no_json(file: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {"example": [0], "prediction": ["{"], "reference": ["1"]}
    parquet.write_table(pyarrow.table(columns), file)


def other_columns(file: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"label": [0]}), file)


@pytest.mark.parametrize("spoil", [half, no_json, other_columns, lambda f: f.write_bytes(b"")])
def test_a_spoilt_file_is_named_with_its_remedy(spoil: Any, tmp_path: Path) -> None:
    file = tmp_path / "one.parquet"
    predictions.write(file, FORMS["tags"])
    spoil(file)
    message = rf"{re.escape(str(file))} cannot be read \(.*\); delete it and train its cell again"
    with pytest.raises(PredictionsError, match=message):
        predictions.read(file)


def test_what_fails_before_the_end_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.parquet"
    predictions.write(file, FORMS["tags"])

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PredictionsError, match="No space left on device; free some disk space and"):
        predictions.write(file, FORMS["labels"])
    assert predictions.read(file) == FORMS["tags"]
    assert list(tmp_path.iterdir()) == [file]


def test_a_result_outlives_predictions_that_cannot_be_written(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    folder(bench).write_text("in the way")
    assert bench.run()["status"] == "done"
    assert "could not be written: Not a directory; free some disk space and train" in caplog.text
