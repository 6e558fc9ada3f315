"""The summary over tasks: hand-worked values, when there is none, and what it leaves out."""

from typing import Any

import pytest

from ptbench import tables
from ptbench.across import across
from ptbench.sweeps import Sweep
from tests.test_tables import record

SWEEP = Sweep(
    "trio",
    "",
    {
        "task": ("red", "blue", "green"),
        "model": ("tiny",),
        "method": ("finetune", "ptuning_v2"),
        "seed": ("0", "1", "2"),
    },
)
# The floor is 0.5. On green fine-tuning does not stand clear of it.
SCORES = {
    ("red", "finetune"): (0.9, 0.9, 0.9),
    ("red", "ptuning_v2"): (0.7, 0.7, 0.7),  # half of the way
    ("blue", "finetune"): (0.7, 0.7, 0.7),
    ("blue", "ptuning_v2"): (0.75, 0.75, 0.75),  # 1.25 of the way
    ("green", "finetune"): (0.52, 0.53, 0.54),
    ("green", "ptuning_v2"): (0.9, 0.9, 0.9),
}


def records(scores: dict[tuple[str, str], tuple[float, ...]] = SCORES) -> list[dict[str, Any]]:
    found = [
        record(task, method, seed, score)
        for (task, method), values in scores.items()
        for seed, score in enumerate(values)
    ]
    for one in found:
        one["adaptation"]["prompt"] = "-" if one["cell"]["method"] == "finetune" else "words"
    return found


def test_scores_are_normalised_between_floor_and_fine_tuning() -> None:
    (one,) = across(tables.table(records(), SWEEP))
    top, other = one.standings
    assert one.tasks == ("red", "blue")
    assert one.left_out == {"green": "fine-tuning less than 5 points above the floor"}
    assert (top.score.value, top.better) == (pytest.approx(1), None)
    assert other.score.value == pytest.approx((0.5 + 1.25) / 2)
    assert (top.rank.value, other.rank.value) == (1.5, 1.5)
    assert other.better
    assert other.better.value == pytest.approx(0.5)  # never on red, always on blue
    assert other.score.interval.low == pytest.approx(other.score.interval.high)  # seeds are equal


def test_markdown_says_what_the_summary_rests_on() -> None:
    text = tables.to_markdown(tables.table(records(), SWEEP))
    assert "## Over tasks: tiny\n\n| method | normalised score |" in text
    assert "| P-tuning v2 | 0.88 [0.88, 0.88] | 1.50 [1.50, 1.50] | 0.50 [0.50, 0.50] |" in text
    assert "mean of 2 tasks (red, blue), 3 seeds each." in text
    assert "so few seeds or tasks make them rough." in text
    assert "- Left out: green (fine-tuning less than 5 points above the floor).\n" in text


def test_a_method_that_lacks_seeds_is_left_out() -> None:
    scores = {**SCORES, ("blue", "ptuning_v2"): (0.75, 0.75)}
    assert across(tables.table(records(scores), SWEEP)) == []  # fine-tuning alone is no comparison


@pytest.mark.parametrize("lack", ["seeds", "fine-tuning", "tasks", "one setting"])
def test_there_is_none_where_it_would_mean_nothing(lack: str) -> None:
    axes, kept = dict(SWEEP.axes), records()
    if lack == "seeds":
        axes["seed"] = ("0",)
    elif lack == "fine-tuning":
        for one in kept:
            one["adaptation"]["prompt"] = "words"
    elif lack == "tasks":
        axes["task"] = ("red", "green")
    else:
        axes["train.learning_rate"] = ("1e-3", "1e-2")
    assert across(tables.table(kept, Sweep("trio", "", axes))) == []
