"""`ptbench compare`: tests on made-up predictions, and what it says where some are missing."""

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from ptbench import predictions
from ptbench.compare import CompareError, compare
from ptbench.forms import Section
from ptbench.predictions import Predictions, file_of
from tests.recorded import whole

METHODS = ("finetune", "ptuning_v2")
GOLD = [0, 1] * 20
TAGS = {"_target_": "tasks.pocket_ner.PocketNER", "max_length": 64, "seed": 0}
TAGS |= dict.fromkeys(("train", "validation", "test"), 12)


def flipped(wrong: int) -> list[int]:
    """The references with that many of the first wrong."""
    return [1 - g if place < wrong else g for place, g in enumerate(GOLD)]


def kept(
    folder: Path, task: str, method: str, seed: int, found: list[Any], **more: Any
) -> dict[str, Any]:
    """A record whose predictions are kept; its score is their accuracy unless told."""
    gold = more.pop("gold", GOLD)
    right = sum(p == g for p, g in zip(found, gold, strict=True)) / len(gold)
    cell = {"task": task, "model": "tiny", "method": method, "seed": seed}
    record = whole(seed, more.pop("score", right), cell=cell, **more)
    record["rows"]["report"] = len(gold)
    predictions.write(file_of("pair", record, folder), Predictions(found, gold))
    return record


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    """On red fine-tuning is wrong in 2 or 4 of 40 and P-tuning v2 in 12; on blue both are alike."""
    return [
        kept(tmp_path, task, method, seed, flipped(wrong))
        for task, method, seed, wrong in [
            *(("red", "finetune", 0, 2), ("red", "finetune", 1, 4)),
            *(("red", "ptuning_v2", 0, 12), ("red", "ptuning_v2", 1, 12)),
            *(("blue", "finetune", 0, 5), ("blue", "ptuning_v2", 0, 5)),
        ]
    ]


def compared(records: list[dict[str, Any]], folder: Path, **more: Any) -> Section:
    return compare(records, None, more.pop("methods", METHODS), draws=200, folder=folder)


def test_accuracies_are_compared_by_mcnemar_and_adjusted_over_all(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    header, blue, red = compared(records, tmp_path).lines
    assert header[:6] == ["task", "model", "setting", "seeds", *METHODS]
    assert blue[3:7] == ["1", "87.5", "87.5", "+0.0"]
    assert blue[8:] == ["McNemar", "1.000", "1.000"]
    assert red[3:7] == ["2", "92.5", "70.0", "+22.5"]
    # wrong in the second only: 10 and 8 examples, so exact p of 2 * 0.5 ** 10 and 2 * 0.5 ** 8
    each = [binomtest(0, n).pvalue for n in (10, 8)]
    p = sum(each)  # twice the median of two
    assert red[9:] == [f"{p:.3f}", f"{2 * p:.3f}"]
    low, high = (float(end) for end in red[7].strip("[]").split(","))
    assert 0 < low < 22.5 < high < 45


def test_other_scores_are_compared_by_randomisation(tmp_path: Path) -> None:
    gold = [["B-PER", "O"]] * 12
    metric = {"split": "held out", "metric": "f1", "step": 4, "score": 1.0}
    more: dict[str, Any] = {"gold": gold, "selection": metric, "floor": None}
    some = [
        kept(tmp_path, "red", "finetune", 0, gold, scores={"test": {"f1": 1.0}}, **more),
        kept(
            tmp_path,
            "red",
            "ptuning_v2",
            0,
            [["O", "O"]] * 12,
            scores={"test": {"f1": 0.0}},
            **more,
        ),
    ]
    for record in some:
        record["config"]["task"] = TAGS
    section = compared(some, tmp_path)
    assert section.lines[1][4:7] == ["100.0", "0.0", "+100.0"]
    assert section.lines[1][8] == "randomisation"
    # all 12 must keep their places or all change: 2 of 4096 ways, of which 200 are drawn
    assert float(section.lines[1][9]) < 0.02
    assert any(line.startswith("Randomisation") for line in section.caption)


def test_missing_predictions_are_told_with_the_command(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = file_of("pair", records[0], tmp_path)
    file.unlink()
    with pytest.raises(CompareError) as error:
        compared(records, tmp_path)
    assert f"predictions of 1 of 6 cells are missing, such as {file}" in str(error.value)
    assert "`ptbench run sweeps=pair rerun=true predictions=true`" in str(error.value)


def test_predictions_of_another_run_are_refused(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    predictions.write(file_of("pair", records[0], tmp_path), Predictions(flipped(9), GOLD))
    with pytest.raises(CompareError, match=r"does not score what its record says.*rerun=true"):
        compared(records, tmp_path)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (("finetune", "ptuning_v3"), r"no method ptuning_v3; did you mean 'ptuning_v2'\?"),
        (("finetune", "finetune"), "finetune is named twice"),
    ],
)
def test_methods_that_cannot_be_compared_are_told(
    records: list[dict[str, Any]], tmp_path: Path, methods: tuple[str, str], said: str
) -> None:
    with pytest.raises(CompareError, match=said):
        compared(records, tmp_path, methods=methods)


def test_methods_without_a_common_seed_are_told(tmp_path: Path) -> None:
    some = [
        kept(tmp_path, "red", "finetune", 0, flipped(1)),
        kept(tmp_path, "red", "ptuning_v2", 1, flipped(1)),
    ]
    with pytest.raises(CompareError, match="no task has a finished seed of both"):
        compared(some, tmp_path)
