"""Estimates and intervals: hand-worked values, other routes to them, and cover in simulations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ptbench.statistics import (
    Estimate,
    StatisticsError,
    improvement,
    means_and_ranks,
    normalised,
    over_examples,
)

# Two methods, eight tasks, one seed: the first leads on six tasks and ties on one.
FIRST = [0.9, 0.1, 0.5, 0.4, 0.6, 0.7, 0.3, 0.2]
SECOND = [0.8, 0.2, 0.4, 0.3, 0.6, 0.6, 0.2, 0.1]
SCORES = np.array([FIRST, SECOND])[..., None]


def interquartile_means(*scores: Any, **options: Any) -> list[Estimate]:
    return means_and_ranks(*scores, **options)[0]


def mean_ranks(*scores: Any, **options: Any) -> list[Estimate]:
    return means_and_ranks(*scores, **options)[1]


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_normalised_is_0_at_the_floor_and_1_at_fine_tuning() -> None:
    assert [normalised(score, 0.5, 0.9) for score in (0.5, 0.7, 0.9, 1.0)] == pytest.approx(
        [0, 0.5, 1, 1.25]
    )
    with pytest.raises(StatisticsError, match=r"scores 0\.4, not above the floor's 0\.5"):
        normalised(0.6, 0.5, 0.4)


def test_the_interquartile_mean_is_that_of_the_middle_half_of_the_tasks() -> None:
    first, second = interquartile_means(SCORES)
    assert first.value == pytest.approx((0.3 + 0.4 + 0.5 + 0.6) / 4)
    assert second.value == pytest.approx((0.2 + 0.3 + 0.4 + 0.6) / 4)
    assert interquartile_means(SCORES[:, :3])[0].value == pytest.approx(0.5)


def test_ranks_are_averaged_over_tasks_and_ties_share_theirs() -> None:
    first, second = mean_ranks(SCORES)
    assert (first.value, second.value) == pytest.approx(((6 + 2 + 1.5) / 8, (12 + 1 + 1.5) / 8 - 0))


def test_what_does_not_vary_has_no_width() -> None:
    for function in (interquartile_means, mean_ranks):
        for value, interval in function(np.repeat(SCORES, 3, axis=-1)):
            assert interval == pytest.approx((value, value))
    assert over_examples([np.full((3, 5), 0.5)]) == Estimate(0.5, (0.5, 0.5))  # pyright: ignore[reportArgumentType]


def test_improvement_is_the_statistic_of_mann_and_whitney() -> None:
    first, second = draw().integers(0, 6, (2, 1, 7)).astype(float)
    expected = stats.mannwhitneyu(first[0], second[0]).statistic / 49
    assert improvement(first, second).value == pytest.approx(expected)
    sure = improvement(first + 10, second)
    assert sure == (1.0, (1.0, 1.0))
    assert improvement(np.array(FIRST)[:, None], np.array(SECOND)[:, None]).value == 6.5 / 8


def test_with_one_seed_the_interval_is_scipys_over_examples() -> None:
    scores = draw().exponential(size=(1, 400))
    low, high = over_examples([scores], draws=10000).interval
    theirs = stats.bootstrap(scores, np.mean, method="percentile", rng=draw(1)).confidence_interval
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.05 * (high - low))


def test_seeds_and_examples_add_their_variances() -> None:
    """Scores that are a seed's effect and an example's: their mean's variance has a closed form."""
    seeds, examples = draw().normal(size=(8, 1)), draw(1).normal(size=(1, 300)) * 4
    low, high = over_examples([seeds + examples], draws=10000).interval
    variance = seeds.var(ddof=1) / 8 + examples.var(ddof=1) / 300
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * variance**0.5, rel=0.04)


def test_tasks_weigh_the_same_whatever_their_sizes() -> None:
    value, interval = over_examples([np.ones((2, 10)), np.zeros((3, 1000))])
    assert (value, *interval) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("function", [interquartile_means, mean_ranks])
def test_the_same_seed_gives_the_same_interval(function: Callable[..., list[Estimate]]) -> None:
    scores = draw().normal(size=(3, 4, 5))
    assert function(scores) == function(scores)
    assert function(scores) != function(scores, seed=1)
    narrow, wide = function(scores, level=0.5)[0], function(scores, level=0.99)[0]
    assert wide.interval.low < narrow.interval.low
    assert narrow.interval.high < wide.interval.high


def covers(hits: int, runs: int) -> bool:
    """Whether so many of the intervals hold the truth as intervals at 0.95 would."""
    return bool(stats.binomtest(hits, runs, 0.95).pvalue > 0.001)


@pytest.mark.parametrize(("seeds", "tasks", "spread"), [(3, 1, 0.05), (5, 1, 0.1), (3, 2, 0.0)])
def test_intervals_over_seeds_and_examples_cover(seeds: int, tasks: int, spread: float) -> None:
    generator, runs, hits = draw(), 300, 0
    for run in range(runs):
        scores = [
            spread * generator.normal(size=(seeds, 1))
            + generator.normal(size=(1, 150))
            + 0.5 * generator.normal(size=(seeds, 150))
            for _ in range(tasks)
        ]
        low, high = over_examples(scores, draws=200, seed=run).interval
        hits += low <= 0 <= high
    assert covers(hits, runs), hits


def test_interquartile_means_cover_even_with_three_seeds() -> None:
    """Draws of as many seeds as there are would cover 84 of 100."""
    generator, runs, hits = draw(), 200, 0
    truth = generator.uniform(size=(2, 20))
    expected: Any = stats.trim_mean(truth, 0.25, axis=1)
    for run in range(runs):
        scores = truth[..., None] + 0.05 * generator.normal(size=(2, 20, 3))
        found = interquartile_means(scores, draws=400, seed=run)
        for value, (_, (low, high)) in zip(expected, found, strict=True):
            hits += int(low <= value <= high)
    assert covers(hits, 2 * runs), hits


def test_improvements_cover() -> None:
    generator, runs, hits = draw(), 300, 0
    truth = float(stats.norm.cdf(0.5 / 2**0.5))
    for run in range(runs):
        first, second = generator.normal(size=(2, 6, 4))
        low, high = improvement(first + 0.5, second, draws=400, seed=run).interval
        hits += low <= truth <= high
    assert covers(hits, runs), hits
