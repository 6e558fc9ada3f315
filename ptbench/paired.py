"""Tests of two methods on the same seeds and the same test examples.

McNemar's test and approximate randomisation speak of trained models on further examples;
`t_test` and `paired_bootstrap` speak of the methods, on further seeds too. What needs scipy.stats
imports it when called: it takes a second, and tables only need the t test.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtr

from ptbench.statistics import DRAWS, LEVEL, SEED, Estimate, StatisticsError, percentiles

GROUPS, STRETCHES = 20, 5
Score = Callable[[list[Any], list[Any]], float]  # of predictions, against references
Runs = Sequence[Sequence[Any]]  # the predictions of each seed


class Difference(NamedTuple):
    """Mean differences with their standard errors and degrees of freedom, and two-sided p."""

    mean: Float[np.ndarray, "*pairs"]
    error: Float[np.ndarray, "*pairs"]
    freedom: Float[np.ndarray, "*pairs"]
    p: Float[np.ndarray, "*pairs"]


class Tested(NamedTuple):
    """A difference with its interval, and two-sided p."""

    difference: Estimate
    p: float


def groups(examples: int) -> Int[np.ndarray, " examples"]:
    """The group in which each example is left out by the jackknife, at most GROUPS of them.

    A group takes stretches from all over the split: neighbours, such as the answers to one
    question, stay together, and an order by label or data set does no harm.
    """
    count = max(min(GROUPS, examples), 1)
    pieces = count * max(min(STRETCHES, examples // count), 1)
    return np.arange(examples) * pieces // max(examples, 1) % count


def left_out(score: Score, predictions: list[Any], references: list[Any]) -> list[float]:
    """The score without each group of examples; none of fewer than two examples."""
    if len(references) < 2:
        return []
    group = groups(len(references))
    kept = [np.flatnonzero(group != number) for number in range(group.max() + 1)]
    return [score(_taken(predictions, rows), _taken(references, rows)) for rows in kept]


def t_test(
    whole: Float[np.ndarray, "*pairs seeds"], left_out: Float[np.ndarray, "*pairs seeds groups"]
) -> Difference:
    """Are the differences in score zero, on further seeds and further examples?

    `whole` holds each seed's difference, `left_out` the same without each group of examples. The
    variance is that of the seeds plus the grouped jackknife's of the examples (Wolter 2007,
    section 4.2), its degrees of freedom are Satterthwaite's. What varies with seed and example at
    once is in both, so the test errs on the side of no difference; where three seeds vary far more
    than the examples do, Satterthwaite's approximation finds one somewhat too often.

    Raises StatisticsError below two seeds or two groups.
    """
    seeds, groups = left_out.shape[-2:]
    if min(seeds, groups) < 2:
        raise StatisticsError(f"{seeds} seeds, {groups} groups of examples: test two or more each")
    means = left_out.mean(-2)
    of_seeds = whole.var(-1, ddof=1) / seeds
    of_examples = means.var(-1) * (groups - 1)
    mean, variance = whole.mean(-1), of_seeds + of_examples
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (of_seeds**2 / (seeds - 1) + of_examples**2 / (groups - 1))
        p = 2 * stdtr(freedom, -np.abs(mean) / np.sqrt(variance))
    surely = np.where(np.isclose(mean, 0, atol=1e-12), 1.0, 0.0)  # nothing varies at all
    return Difference(mean, np.sqrt(variance), freedom, np.where(np.isnan(p), surely, p))


def mcnemar(first: Bool[np.ndarray, " examples"], second: Bool[np.ndarray, " examples"]) -> float:
    """Exact two-sided p that two models are right equally often (McNemar 1947)."""
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    unlike = only_first + only_second
    return float(binomtest(only_first, unlike).pvalue) if unlike else 1.0


def randomisation(
    first: Runs,
    second: Runs,
    references: list[Any],
    score: Score,
    draws: int = DRAWS,
    seed: int = SEED,
) -> float:
    """Two-sided p that the methods' predictions of an example could change places.

    Approximate randomisation (Noreen 1989) for any score of a corpus; an example changes places in
    all seeds at once. Exact where there are no more than `draws` ways to do so.
    """
    from scipy.stats import permutation_test

    pools = [[*ours, *theirs] for ours, theirs in zip(first, second, strict=True)]

    def mean_score(places: Int[np.ndarray, " examples"]) -> float:
        return float(np.mean([score(_taken(pool, places), references) for pool in pools]))

    places = np.arange(len(references))
    found: Any = permutation_test(
        (places, places + len(references)),
        lambda ours, theirs: mean_score(ours) - mean_score(theirs),
        permutation_type="samples",
        vectorized=False,
        n_resamples=draws,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def paired_bootstrap(
    first: Runs,
    second: Runs,
    references: list[Any],
    score: Score,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Tested:
    """The first's mean score less the second's, on seeds and examples that both have.

    Each draw takes seeds and examples, the same of both methods (Efron & Tibshirani 1993, chapter
    16; Koehn 2004), one fewer than there are, as `ptbench.statistics` says why.
    """
    seeds, examples = len(first), len(references)

    def difference(runs: np.ndarray, rows: np.ndarray) -> float:
        gold = _taken(references, rows)
        scores = [
            [score(_taken(method[run], rows), gold) for run in runs] for method in (first, second)
        ]
        return float(np.subtract(*np.mean(scores, axis=1)))

    generator = np.random.default_rng(seed)
    drawn = np.array(
        [
            difference(
                generator.integers(seeds, size=max(seeds - 1, 1)),
                generator.integers(examples, size=max(examples - 1, 1)),
            )
            for _ in range(draws)
        ]
    )
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    value = difference(np.arange(seeds), np.arange(examples))
    p = min(1.0, 2 * (tail + 1) / (draws + 1))
    return Tested(Estimate(value, percentiles(drawn, level)), float(p))


def holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """The p-values of a family, each adjusted so that one level holds for all (Holm 1979)."""
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def _taken(rows: Sequence[Any], places: Int[np.ndarray, " taken"]) -> list[Any]:
    return [rows[place] for place in places]
