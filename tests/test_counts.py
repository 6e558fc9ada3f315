"""Sums of what rows count give a metric's scores: what paired tests draw with, a thousand times."""

import random
from typing import Any

import pytest

from ptbench.metrics import Accuracy, EntityF1, Metric, PrecisionAt1, SquadV1, SquadV2, SrlF1

ROWS = 60
TAGS = ("O", "B-A0", "I-A0", "B-V", "B-C-A0", "I-C-A0", "B-A1", "I-A1")
TEXTS = ("", "the red house", "a house", "red", "house of the red king")


def drawn(metric: type[Metric], draw: random.Random) -> tuple[list[Any], list[Any]]:
    lengths = [draw.randrange(1, 9) for _ in range(ROWS)]

    def answer(row: int) -> Any:
        if issubclass(metric, EntityF1):
            return draw.choices(TAGS, k=lengths[row])
        texts = issubclass(metric, SquadV1 | PrecisionAt1)
        return draw.choice(TEXTS) if texts else draw.randrange(3)

    def gold(row: int) -> Any:
        if issubclass(metric, SquadV1):
            return draw.sample(TEXTS[1:], draw.randrange(3))
        return answer(row)

    return [answer(n) for n in range(ROWS)], [gold(n) for n in range(ROWS)]


@pytest.mark.parametrize("metric", [Accuracy, PrecisionAt1, EntityF1, SrlF1, SquadV1, SquadV2])
def test_the_sums_of_counts_give_the_scores_of_all_rows_at_once(metric: type[Metric]) -> None:
    one = metric(keep_in_memory=True)
    for seed in range(5):
        found, gold = drawn(metric, random.Random(seed))
        rows = [one.counts(p, r) for p, r in zip(found, gold, strict=True)]
        sums = [sum(column) for column in zip(*rows, strict=True)]
        whole = one.scores(found, gold)
        told = one.of_sums(*sums)
        assert told == pytest.approx({name: whole[name] for name in told})
        assert 0 < next(iter(told.values())) < 1


@pytest.mark.parametrize("metric", [EntityF1, SrlF1])
def test_no_span_at_all_scores_zero(metric: type[Metric]) -> None:
    assert set(metric(keep_in_memory=True).of_sums(0.0, 0.0, 0.0).values()) == {0.0}
