"""Estimates over seeds, examples and tasks, with bootstrap intervals.

A resample of n draws n - 1: as many as n would understate the variance of a mean by (n - 1) / n
(Rao & Wu 1988), which is a third at three seeds. One seed stands for itself.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ptbench.errors import PtbenchError

DRAWS, LEVEL, SEED = 2000, 0.95, 0
Scores = Float[np.ndarray, "methods tasks seeds"]


class StatisticsError(PtbenchError):
    """Scores of which a statistic has no meaning."""


class Interval(NamedTuple):
    """From where to where; both ends belong to it."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    interval: Interval


def normalised(score: float, floor: float, ceiling: float) -> float:
    """0 for the floor's score, 1 for the ceiling's, which fine-tuning sets.

    Raises StatisticsError where the ceiling is not above the floor.
    """
    if ceiling <= floor:
        raise StatisticsError(
            f"fine-tuning scores {ceiling:.4g}, not above the floor's {floor:.4g}: there is no "
            "scale between them; leave the task out"
        )
    return (score - floor) / (ceiling - floor)


def over_examples(
    tasks: Sequence[Float[np.ndarray, "_ _"]],
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Estimate:
    """The mean over tasks of the mean over seeds and examples, for scores that examples add up to.

    Each task is a stratum, whose seeds and examples are drawn apart (Owen 2007, the pigeonhole
    bootstrap). With few seeds that vary more than the examples do, it covers less than its level.
    """
    generator = np.random.default_rng(seed)
    means = np.zeros(draws)
    for scores in tasks:
        of_seeds, of_examples = (_weights(n, draws, generator) for n in scores.shape)
        means += np.einsum("de,de->d", of_seeds @ scores, of_examples) / len(tasks)
    return Estimate(fmean(float(scores.mean()) for scores in tasks), percentiles(means, level))


def means_and_ranks(
    scores: Scores, level: float = LEVEL, draws: int = DRAWS, seed: int = SEED
) -> tuple[list[Estimate], list[Estimate]]:
    """Each method's interquartile mean over tasks and its mean rank, by the same draws.

    A task's score is its seeds' mean. The one is the mean of the middle half of the tasks (Agarwal
    et al. 2021, of whole tasks: with fewer than four it is the mean of all); of ranks 1 is best,
    and ties share theirs.
    """
    means, drawn = scores.mean(-1), _resampled(scores, draws, seed)
    return (
        _estimates(_middle(means), _middle(drawn), level),
        _estimates(_ranks(means), _ranks(drawn), level),
    )


def improvement(
    first: Float[np.ndarray, "tasks _"],
    second: Float[np.ndarray, "tasks _"],
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Estimate:
    """P(a run of the first beats one of the second), averaged over tasks; a tie counts half.

    Agarwal et al. 2021, section 4.3.
    """
    signs = np.sign(first[:, :, None] - second[:, None, :])
    generator = np.random.default_rng(seed)
    ours, theirs = (_counts(scores, draws, generator) for scores in (first, second))
    sums = np.einsum("tda,tda->d", ours @ signs, theirs)  # of whole numbers, so exact
    pairs = ours[:, 0].sum() * theirs[0, 0].sum()
    drawn = (1 + sums / pairs) / 2
    return Estimate((1 + float(signs.mean())) / 2, percentiles(drawn, level))


def _counts(
    scores: Float[np.ndarray, "tasks runs"], draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "tasks draws runs"]:
    """How often each run is drawn."""
    places, (tasks, runs) = _places(scores.shape, draws, generator), scores.shape
    rows = runs * np.arange(draws * tasks).reshape(draws, tasks, 1)
    counts = np.bincount((rows + places).ravel(), minlength=draws * tasks * runs)
    return counts.reshape(draws, tasks, runs).swapaxes(0, 1).astype(float)


def _middle(means: Float[np.ndarray, "*draws tasks"]) -> Float[np.ndarray, "*draws"]:
    # as scipy.stats.trim_mean, whose import takes longer than a table
    cut = means.shape[-1] // 4
    return np.sort(means, -1)[..., cut : means.shape[-1] - cut].mean(-1)


def _ranks(means: Float[np.ndarray, "*draws methods tasks"]) -> Float[np.ndarray, "*draws methods"]:
    # as scipy.stats.rankdata: those above, and half of the others that are level
    ranks = [
        ((means > one).sum(-2) + ((means == one).sum(-2) + 1) / 2).mean(-1)
        for one in np.split(means, means.shape[-2], -2)
    ]
    return np.stack(ranks, -1)


def _resampled(scores: Scores, draws: int, seed: int) -> Float[np.ndarray, "draws methods tasks"]:
    """Means over drawn seeds, each method's and task's its own: they are the strata."""
    places = _places(scores.shape, draws, np.random.default_rng(seed))
    *strata, seeds = scores.shape
    first = np.arange(0, scores.size, seeds).reshape(*strata, 1)
    return scores.take(first + places).mean(-1)  # take_along_axis takes several times as long


def _places(
    shape: tuple[int, ...], draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "draws *strata drawn"]:
    *strata, seeds = shape
    return generator.integers(seeds, size=(draws, *strata, max(seeds - 1, 1)))


def _weights(
    count: int, draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws count"]:
    """How often each of `count` things is drawn, as shares."""
    drawn = max(count - 1, 1)
    return generator.multinomial(drawn, np.full(count, 1 / count), size=draws) / drawn


def percentiles(drawn: Float[np.ndarray, " draws"], level: float) -> Interval:
    """The interval that leaves as many draws below as above."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _estimates(
    values: Float[np.ndarray, " methods"], drawn: Float[np.ndarray, "draws methods"], level: float
) -> list[Estimate]:
    return [
        Estimate(float(value), percentiles(column, level))
        for value, column in zip(values, drawn.T, strict=True)
    ]
