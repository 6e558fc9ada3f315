"""`ptbench compare`: tests on kept predictions are those called by hand; faults are told."""

import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ptbench import comparison, predictions
from ptbench.comparison import compare
from ptbench.paired import holm, mcnemar, paired_bootstrap, randomisation
from ptbench.predictions import Predictions, PredictionsError, file_of
from ptbench.sweeps import SweepError

SST2 = {"_target_": "tasks.sst2.SST2", "max_length": 128}
NER = {
    "_target_": "tasks.pocket_ner.PocketNER",
    "max_length": 32,
    "seed": 0,
    "train": 4,
    "validation": 4,
    "test": 4,
}
ROWS, DRAWS = 12, 200
GOLD = [n % 2 for n in range(ROWS)]


def record(method: str, seed: int, task: dict[str, Any]) -> dict[str, Any]:
    return {
        "hash": f"{seed:08x}",
        "status": "done",
        "cell": {"task": "red", "model": "tiny", "method": method, "seed": seed},
        "config": {"sweep": "pair", "start": None, "task": task},
        "rows": {"report": ROWS},
    }


def found(wrong: int) -> list[int]:
    return [1 - gold if n < wrong else gold for n, gold in enumerate(GOLD)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(comparison, "aligned", partial(predictions.aligned, folder=tmp_path))
    return tmp_path


def keep(folder: Path, records: list[dict[str, Any]], runs: list[list[Any]], gold: Any) -> None:
    for one, run in zip(records, runs, strict=True):
        predictions.write(file_of("pair", one, folder), Predictions(run, gold))


def test_accuracy_is_tested_by_mcnemar_each_seed_and_by_the_bootstrap(folder: Path) -> None:
    records = [record(m, seed, SST2) for m in ("finetune", "ptuning_v2") for seed in (0, 1)]
    runs = [found(0), found(1), found(8), found(9)]
    keep(folder, records, runs, GOLD)
    lines = compare(records, None, "finetune", "ptuning_v2", DRAWS)
    right = [np.array(run) == np.array(GOLD) for run in runs]

    def accuracy(run: list[Any], gold: list[Any]) -> float:
        return float(np.mean(np.array(run) == np.array(gold)))

    boot = paired_bootstrap(runs[:2], runs[2:], GOLD, accuracy, draws=DRAWS)
    raw = [boot.p, mcnemar(right[0], right[2]), mcnemar(right[1], right[3])]
    assert [line.p for line in lines] == pytest.approx(raw)
    assert [line.adjusted for line in lines] == pytest.approx(holm(np.array(raw)).tolist())
    assert [line.seeds for line in lines] == [(0, 1), (0,), (1,)]
    eight = 100 * 8 / 12
    assert [line.difference for line in lines] == pytest.approx([eight, eight, eight])
    assert lines[0].interval
    assert lines[0].interval.low == pytest.approx(100 * boot.difference.interval.low)
    assert [line.interval for line in lines[1:]] == [None, None]
    console = Console(width=80, file=io.StringIO(), record=True)
    comparison.show(lines, "finetune", "ptuning_v2", console)
    said = console.export_text()
    assert "finetune less ptuning_v2 on tiny" in said
    assert re.search(r"red +bootstrap, accuracy +0, 1 +\+66\.7 \[\d+\.\d, ", said)
    assert re.search(r"red +McNemar +1 +\+66\.7 +0\.", said), "one line each in 80 columns"


def test_f1_is_tested_by_approximate_randomisation(folder: Path) -> None:
    records = [record("finetune", 0, NER), record("ptuning_v2", 0, NER)]
    gold = [["B-PER", "O"] if n % 2 else ["O", "B-LOC"] for n in range(ROWS)]
    poor = [["O", "O"] if n % 3 else tags for n, tags in enumerate(gold)]
    keep(folder, records, [gold, poor], gold)
    lines = compare(records, None, "finetune", "ptuning_v2", DRAWS)
    assert [line.test for line in lines] == [
        "bootstrap, f1",
        "randomisation, f1",
    ]

    def f1(run: list[Any], gold: list[Any]) -> float:
        pairs = [pair for a, b in zip(run, gold, strict=True) for pair in zip(a, b, strict=True)]
        hits = sum(a == b != "O" for a, b in pairs)
        return 2 * hits / max(sum((a != "O") + (b != "O") for a, b in pairs), 1)

    assert lines[1].p == pytest.approx(randomisation([gold], [poor], gold, f1, draws=DRAWS))


SQUAD = {"_target_": "tasks.squad.SQuAD", "max_length": 384}
RECORD = {"_target_": "tasks.record.ReCoRD", "max_length": 384}
CUT: dict[str, tuple[dict[str, Any], list[Any], Any, Any]] = {
    "words cut off": (NER, [["B-PER", "O", "O"]] * ROWS, ["B-PER"], ["O"]),
    "bounds of spans": (
        SQUAD,
        [{"context": "a red house", "answers": ["red"]}] * ROWS,
        [2, 5],
        [6, 11],
    ),
    "one of many texts": (
        RECORD,
        [{"choices": ["Ann", "Bo"], "answers": ["Bo"]}] * ROWS,
        1,
        0,
    ),
}


@pytest.mark.parametrize(("task", "gold", "right", "wrong"), CUT.values(), ids=list(CUT))
def test_answers_are_compared_in_the_form_in_which_they_are_scored(
    folder: Path, task: dict[str, Any], gold: list[Any], right: Any, wrong: Any
) -> None:
    records = [record("finetune", 0, task), record("ptuning_v2", 0, task)]
    keep(folder, records, [[right] * ROWS, [right] * 3 + [wrong] * 9], gold)
    lines = compare(records, None, "finetune", "ptuning_v2", DRAWS)
    f1 = 2 * 3 / (3 + ROWS) if task is NER else 3 / ROWS  # entities found and not, or rows
    assert lines[0].difference == pytest.approx(100 * (1 - f1))


def test_missing_predictions_are_told_with_the_way_to_get_them() -> None:
    records = [record("finetune", 0, SST2), record("ptuning_v2", 0, SST2)]
    with pytest.raises(PredictionsError, match=r"\.parquet is missing.*predictions=false.*rerun=t"):
        compare(records, None, "finetune", "ptuning_v2")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("finetun", "ptuning_v2", "pair has no method 'finetun'; did you mean 'finetune'"),
        ("finetune", "finetune", "are both 'finetune'; name two methods"),
        ("finetune", "ptuning_v2", "no seed has finished with both finetune and ptuning_v2"),
    ],
)
def test_what_cannot_be_compared_is_told(first: str, second: str, message: str) -> None:
    records = [record("finetune", 0, SST2), record("ptuning_v2", 1, SST2)]
    with pytest.raises(SweepError, match=message):
        compare(records, None, first, second)
