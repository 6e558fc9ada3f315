"""Paired tests: hand-worked p-values, other tests in their special cases, and size and power."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ptbench.paired import (
    GROUPS,
    groups,
    holm,
    left_out,
    mcnemar,
    paired_bootstrap,
    randomisation,
    t_test,
)
from ptbench.statistics import StatisticsError, over_examples

LEVEL = 0.05


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def accuracy(found: list[Any], gold: list[Any]) -> float:
    return float(np.equal(found, gold).mean())


def f1(found: list[Any], gold: list[Any]) -> float:
    """Micro F1 of examples that say how many spans were found, and how many of them are right."""
    right, guessed = np.sum(found, axis=0)
    return 2 * right / (guessed + np.sum(gold))


@pytest.mark.parametrize("examples", [2, 7, 19, 20, 21, 39, 99, 100, 101, 1000, 1001])
def test_groups_are_of_like_size_and_take_from_all_over(examples: int) -> None:
    group = groups(examples)
    sizes = np.bincount(group)
    assert len(sizes) == min(GROUPS, examples)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= 5
    if examples >= 1000:  # a fifth of the split holds some of each, in stretches
        assert set(group[: examples // 5 + 1]) == set(range(GROUPS))
        assert (np.diff(group) != 0).sum() < 5 * GROUPS


def test_left_out_scores_are_those_of_the_rest() -> None:
    found, gold = [1, 1, 0, 1], [1, 0, 0, 0]
    assert left_out(accuracy, found, gold) == pytest.approx([1 / 3, 2 / 3, 1 / 3, 2 / 3])
    assert left_out(accuracy, found[:1], gold[:1]) == []


def whole_and_left_out(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences [..., seeds] of [..., seeds, examples], and without each group."""
    group = np.eye(GROUPS)[groups(differences.shape[-1])]
    rest = differences.sum(-1, keepdims=True) - differences @ group
    return differences.mean(-1), rest / (differences.shape[-1] - group.sum(0))


def test_without_examples_that_vary_it_is_the_t_test_of_the_seeds() -> None:
    seeds = draw().normal(size=5)
    found = t_test(seeds, np.repeat(seeds[:, None], 20, axis=1))
    assert (found.freedom, found.p) == pytest.approx((4, stats.ttest_1samp(seeds, 0)[1]))


def test_without_seeds_that_vary_it_is_the_t_test_of_the_examples() -> None:
    examples = draw().normal(size=GROUPS)
    found = t_test(*whole_and_left_out(np.repeat(examples[None], 3, axis=0)))
    theirs: Any = stats.ttest_1samp(examples, 0)
    assert (found.freedom, found.p) == pytest.approx((GROUPS - 1, theirs[1]))
    assert found.error == pytest.approx(stats.sem(examples))


def test_seeds_and_examples_by_hand() -> None:
    """Seeds 1 and 3: variance 2 / 2. Left out 1 and 3: (1 + 1) / 2. Freedom 4 / (1 + 1)."""
    found = t_test(np.array([1.0, 3.0]), np.array([[1.0, 3.0], [1.0, 3.0]]))
    assert (found.mean, found.error, found.freedom) == pytest.approx((2, 2**0.5, 2))
    assert found.p == pytest.approx(2 * stats.t.sf(2**0.5, 2))


def test_what_never_varies_is_the_same_or_is_not() -> None:
    found = t_test(
        np.array([[0.0, 0.0], [0.5, 0.5]]), np.repeat([[[0.0]], [[0.5]]], 2, 1).repeat(2, 2)
    )
    assert found.p.tolist() == [1, 0]
    with pytest.raises(StatisticsError, match="1 seeds, 20 groups"):
        t_test(np.zeros(1), np.zeros((1, 20)))


def rejected_as_at_most(hits: int, runs: int, level: float = LEVEL) -> bool:
    """Whether so many rejections are no more than a test of that level makes."""
    return bool(stats.binomtest(hits, runs, level, alternative="greater").pvalue > 0.001)


def hits(runs: int, examples: int, of_seeds: float, shift: float, seed: int) -> np.ndarray:
    """Differences of two methods' hits, three seeds each: latent effects of all kinds."""
    generator = draw(seed)
    example = generator.normal(size=(runs, 1, examples))
    right = [
        ahead
        + example
        + 0.5 * generator.normal(size=(runs, 1, examples))
        + of_seeds * generator.normal(size=(runs, 3, 1))
        + generator.normal(size=(runs, 3, examples))
        > -1
        for ahead in (shift, 0.0)
    ]
    return right[0].astype(float) - right[1]


@pytest.mark.parametrize("of_seeds", [0.0, 0.05, 0.1])
def test_the_t_test_holds_its_size_with_three_seeds(of_seeds: float) -> None:
    """The accuracies of seeds deviate by 0 to 2.4 points."""
    p = np.concatenate(
        [t_test(*whole_and_left_out(hits(250, 400, of_seeds, 0.0, seed))).p for seed in range(6)]
    )
    for level in (LEVEL, 0.01):
        assert rejected_as_at_most(int((p < level).sum()), len(p), level)
    ahead = t_test(*whole_and_left_out(hits(250, 400, of_seeds, 0.6, 9))).p
    assert (ahead < LEVEL).mean() > 0.8, "a difference of some 14 points is found"


def test_examples_alone_would_not_hold_it() -> None:
    """Seeds that vary as much as the examples: pooled hits reject what the t test does not."""
    differences = hits(300, 400, 0.1, 0.0, 1)
    pooled: Any = stats.ttest_1samp(differences.mean(1), 0, axis=-1)[1]
    assert not rejected_as_at_most(int((pooled < LEVEL).sum()), len(pooled))


def spans(generator: np.random.Generator, gold: np.ndarray, recall: float) -> list[list[int]]:
    right = generator.binomial(gold, recall)
    return np.stack([right, right + generator.binomial(1, 0.3, len(gold))], axis=1).tolist()


def test_it_holds_its_size_for_a_corpus_score() -> None:
    generator, rejected, runs = draw(), 0, 100
    for _ in range(runs):
        gold = generator.poisson(1.2, size=120)
        methods = np.array(
            [
                [
                    [f1(found, gold.tolist()), *left_out(f1, found, gold.tolist())]
                    for found in (spans(generator, gold, 0.7) for _ in range(3))
                ]
                for _ in range(2)
            ]
        )
        difference = methods[0] - methods[1]
        rejected += float(t_test(difference[:, 0], difference[:, 1:]).p) < LEVEL
    assert rejected_as_at_most(rejected, runs)


def test_mcnemar_by_hand() -> None:
    """One example only the first has right, five only the second: 2 (1 + 6) / 64."""
    first = np.array([1, 0, 0, 0, 0, 0, 1, 0], bool)
    second = np.array([0, 1, 1, 1, 1, 1, 1, 0], bool)
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(14 / 64)
    assert mcnemar(first, first) == 1


def test_mcnemar_never_exceeds_its_size() -> None:
    """Over all outcomes of so many unlike examples, each with its chance."""
    for unlike in range(1, 40):
        chance = 0.0
        for more in range(unlike + 1):
            first = np.arange(unlike) < more
            if mcnemar(first, ~first) <= LEVEL:
                chance += float(stats.binom.pmf(more, unlike, 0.5))
        assert chance <= LEVEL


def test_randomisation_of_accuracy_is_the_exact_test_of_mcnemar() -> None:
    gold = [1] * 10
    first, second = [1] * 8 + [0, 1], [0] * 6 + [1, 0, 1, 1]
    expected = mcnemar(np.array(first, bool), np.array(second, bool))
    assert randomisation([first], [second], gold, accuracy) == pytest.approx(expected)


def test_randomisation_of_f1_is_the_share_of_all_ways_to_change_places() -> None:
    gold = [1, 2, 0, 1, 3, 1, 2]
    first = [[[1, 1], [2, 2], [0, 1], [1, 2], [2, 3], [1, 1], [1, 1]]] * 2
    second = [[[0, 1], [1, 3], [0, 0], [1, 1], [1, 2], [0, 2], [1, 3]], first[0]]

    def difference(ways: tuple[bool, ...]) -> float:
        total = 0.0
        for ours, theirs in zip(first, second, strict=True):
            pairs = list(zip(ours, theirs, ways, strict=True))
            total += f1([b if way else a for a, b, way in pairs], gold)
            total -= f1([a if way else b for a, b, way in pairs], gold)
        return total / 2

    ways = np.array([difference(way) for way in product((False, True), repeat=len(gold))])
    observed = difference((False,) * len(gold))
    tails = (ways >= observed - 1e-12).mean(), (ways <= observed + 1e-12).mean()
    expected = min(1, 2 * min(tails))
    assert expected < 1
    assert randomisation(first, second, gold, f1, draws=1000) == pytest.approx(expected)


def test_randomisation_holds_its_size() -> None:
    generator, rejected, runs = draw(), 0, 100
    for run in range(runs):
        gold = generator.poisson(1.2, size=40)
        first, second = (spans(generator, gold, 0.7) for _ in range(2))
        p = randomisation([first], [second], gold.tolist(), f1, draws=59, seed=run)
        rejected += p <= LEVEL
    assert rejected_as_at_most(rejected, runs)
    assert rejected > 0, "and makes use of it"


def test_the_paired_bootstrap_is_that_of_the_differences() -> None:
    first, second = draw().integers(0, 2, (2, 4, 100))
    gold = [1] * 100
    found = paired_bootstrap(first.tolist(), second.tolist(), gold, accuracy, draws=1500)
    value, (low, high) = over_examples([(first - second).astype(float)])
    assert found.difference.value == pytest.approx(value)
    assert found.difference.interval == pytest.approx((low, high), abs=0.1 * (high - low))
    assert found.p > LEVEL
    runs = [gold] * 3, [[0] * 50 + [1] * 50] * 3
    sure, again = (paired_bootstrap(*runs, gold, accuracy, draws=99) for _ in range(2))
    assert sure == again
    assert (sure.difference.value, sure.p) == (0.5, 0.02)


def test_the_paired_bootstrap_covers_and_holds_its_size() -> None:
    generator, covered, rejected, runs = draw(), 0, 0, 100
    for run in range(runs):
        gold = generator.poisson(1.2, size=60)
        first, second = ([spans(generator, gold, 0.7) for _ in range(3)] for _ in range(2))
        found = paired_bootstrap(first, second, gold.tolist(), f1, draws=60, seed=run)
        covered += found.difference.interval.low <= 0 <= found.difference.interval.high
        rejected += found.p <= LEVEL
    assert rejected_as_at_most(runs - covered, runs)
    assert rejected_as_at_most(rejected, runs)


def test_holm_by_hand() -> None:
    """4 x 0.005, 3 x 0.01, 2 x 0.03, and the last no less than the one before."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.9])).tolist() == [1, 1]


def test_holm_errs_in_no_more_tables_than_its_level() -> None:
    """Ten true hypotheses, and ten false ones that must not use up the level of the others."""
    p = draw().uniform(size=(3000, 20))
    p[:, 10:] = 1e-9
    wrong = sum(bool((holm(row)[:10] <= LEVEL).any()) for row in p)
    assert rejected_as_at_most(wrong, len(p))
    assert stats.binomtest(wrong, len(p), LEVEL).pvalue > 0.001, "nor in fewer"
