"""Scores: hand-worked cases, and agreement with the libraries that papers use."""

import math
import random
from typing import Any

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from sklearn.metrics import accuracy_score, matthews_corrcoef
from sklearn.metrics import f1_score as class_f1

from ptbench.kinds import Labelling, bio
from ptbench.metrics import (
    MCC,
    Accuracy,
    EntityF1,
    MacroF1,
    MultiRC,
    Pearson,
    PositiveF1,
    PrecisionAt1,
    Spearman,
    score,
)

NAMES = Labelling(labels=bio("PER", "LOC"))


def entity(predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
    return score((EntityF1,), predictions, references)


@pytest.mark.parametrize(
    ("found", "gold", "precision", "recall"),
    [
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1, 1),
        ("B-PER O O B-LOC", "B-PER I-PER O B-LOC", 1 / 2, 1 / 2),  # half a span is no span
        ("B-LOC I-LOC O O", "B-PER I-PER O B-LOC", 0, 0),  # the right place, the wrong name
        ("B-PER B-PER O O", "B-PER I-PER O O", 0, 0),  # two spans for one
        ("B-PER I-PER O O", "B-PER B-PER O O", 0, 0),  # one span for two
        ("O I-PER I-PER O", "O B-PER I-PER O", 1, 1),  # an I opens a span, as conlleval reads it
        ("B-PER I-LOC O O", "B-PER O O O", 1 / 2, 1),  # another name opens a span of its own
        ("O O O B-LOC", "B-PER I-PER O B-LOC", 1, 1 / 2),
        ("O O O O", "B-PER I-PER O B-LOC", 0, 0),
        ("B-PER O O O", "O O O O", 0, 0),
    ],
)
def test_entities_by_hand(found: str, gold: str, precision: float, recall: float) -> None:
    scores = entity([found.split()], [gold.split()])
    total = precision + recall
    f1 = 2 * precision * recall / total if total else 0
    assert scores == pytest.approx({"f1": f1, "precision": precision, "recall": recall})


def test_entities_are_counted_over_all_sentences() -> None:
    found = [["B-PER", "O"], ["B-PER", "B-LOC", "B-LOC"]]
    gold = [["B-PER", "O"], ["O", "B-LOC", "O"]]
    assert entity(found, gold)["precision"] == pytest.approx(2 / 4)  # not the mean of 1 and 1/3


def random_labels() -> tuple[list[list[str]], list[list[str]]]:
    """References and predictions of 200 sentences, no BIO among them."""
    draw = random.Random(0)
    lengths = [draw.randint(1, 9) for _ in range(200)]
    return tuple([draw.choices(NAMES.labels, k=n) for n in lengths] for _ in range(2))  # pyright: ignore[reportReturnType]


def test_agrees_with_conlleval_on_random_labels() -> None:
    gold, found = random_labels()
    right, in_found, in_gold = 172, 657, 650  # as conlleval 0.2 of PyPI counts them
    expected = {
        "f1": 2 * right / (in_found + in_gold),
        "precision": right / in_found,
        "recall": right / in_gold,
    }
    assert entity(found, gold) == pytest.approx(expected)


def test_agrees_with_seqeval_on_random_labels() -> None:
    gold, found = random_labels()
    expected: dict[str, Any] = {
        "f1": f1_score(gold, found),
        "precision": precision_score(gold, found),
        "recall": recall_score(gold, found),
    }
    assert 0 < expected["f1"] < 1
    assert entity(found, gold) == pytest.approx(expected)


def test_entities_cut_off_are_missed() -> None:
    gold = ["B-PER", "I-PER", "O", "B-LOC"]
    assert NAMES.score([gold[:3]], [gold])["recall"] == 1 / 2
    assert NAMES.score([gold[:3]], [gold])["precision"] == 1
    assert NAMES.score([gold[:1]], [gold])["f1"] == 0  # a span cut in two is not found
    assert NAMES.score([[]], [gold])["f1"] == 0


def test_macro_f1_by_hand() -> None:
    gold, found = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
    # F1 of the classes: 2*2/(2+3), 2*1/(2+2), 2*1/(2+1)
    expected = (4 / 5 + 2 / 4 + 2 / 3) / 3
    scores = score((Accuracy, MacroF1), found, gold)
    assert scores == pytest.approx({"accuracy": 4 / 6, "macro_f1": expected})


def test_macro_f1_counts_a_class_never_found_as_zero() -> None:
    scores = score((MacroF1,), [0, 0, 0, 0], [0, 0, 1, 2])
    assert scores["macro_f1"] == pytest.approx((2 * 2 / (2 + 4)) / 3)


def test_agrees_with_sklearn_on_random_labels() -> None:
    draw = random.Random(0)
    gold, found = ([draw.randrange(3) for _ in range(300)] for _ in range(2))
    scores = score((Accuracy, MacroF1, MCC), found, gold)
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold, found))
    assert scores["macro_f1"] == pytest.approx(class_f1(gold, found, average="macro"))
    assert scores["mcc"] == pytest.approx(matthews_corrcoef(gold, found))
    gold, found = [label % 2 for label in gold], [label % 2 for label in found]
    assert score((PositiveF1,), found, gold)["f1"] == pytest.approx(class_f1(gold, found))


def test_positive_f1_by_hand() -> None:
    gold, found = [1, 1, 0, 0, 1], [1, 0, 1, 0, 1]
    assert score((PositiveF1,), found, gold)["f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert score((PositiveF1,), [0, 0], [1, 0])["f1"] == 0
    assert score((PositiveF1,), [0, 0], [0, 0])["f1"] == 0


def test_mcc_by_hand() -> None:
    # 2 true and 1 false positives, 3 true and 1 false negatives
    gold, found = [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0]
    expected = (2 * 3 - 1 * 1) / math.sqrt(3 * 3 * 4 * 4)
    assert score((MCC,), found, gold)["mcc"] == pytest.approx(expected)
    assert score((MCC,), [1 - label for label in gold], gold)["mcc"] == pytest.approx(-1)
    assert score((MCC,), [1] * 7, gold)["mcc"] == 0


def test_correlations_by_hand() -> None:
    gold, found = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 10.0]
    scores = score((Pearson, Spearman), found, gold)
    # deviations -3/2, -1/2, 1/2, 3/2 and -3, -1, -2, 6; ranks 1, 3, 2, 4
    assert scores["pearson"] == pytest.approx(13 / math.sqrt(5 * 50))
    assert scores["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    constant = score((Pearson, Spearman), [2.0] * 4, gold)
    assert constant == {"pearson": 0, "spearman": 0}


def test_correlation_of_ranks_sees_no_scale_and_shares_ties() -> None:
    gold, found = [0.0, 1.0, 1.0, 5.0], [0.1, 0.2, 0.4, 0.3]
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 4, 3: deviations -1.5, 0, 0, 1.5 and -1.5, -0.5, 1.5, 0.5
    expected = 3 / math.sqrt(4.5 * 5)
    assert score((Spearman,), found, gold)["spearman"] == pytest.approx(expected)
    cubed = [number**3 for number in found]
    assert score((Spearman,), cubed, gold)["spearman"] == pytest.approx(expected)


def test_multirc_by_hand() -> None:
    places = [("a", 1), ("a", 0), ("b", 1), ("b", 1), ("c", 0), ("a", 1)]
    gold = [{"question": question, "label": label} for question, label in places]
    scores = score((MultiRC,), [1, 0, 1, 0, 1, 1], gold)
    # a is right in all its three answers, which need not stand together
    assert scores == pytest.approx({"f1a": 2 * 3 / (4 + 4), "exact": 1 / 3})


def test_precision_at_1_by_hand() -> None:
    scores = score((PrecisionAt1,), ["Paris", "Rome", "rome"], ["Paris", "Rome", "Rome"])
    assert scores == pytest.approx({"p_at_1": 2 / 3})


@pytest.mark.parametrize(
    ("metric", "found", "gold"),
    [
        (Accuracy, [1, 0, 1], [1, 1, 0]),
        (PrecisionAt1, ["a", "b"], ["a", "c"]),
        (EntityF1, [["B-PER", "O"], ["O"]], [["B-PER", "O"], ["B-LOC"]]),
        (MultiRC, [1, 0], [{"question": "q", "label": 1}, {"question": "q", "label": 1}]),
        (Pearson, [0.1, 0.7, 1 / 3], [1.0, 2.0, 0.3]),
    ],
)
def test_evaluate_computes_the_same(metric: Any, found: list[Any], gold: list[Any]) -> None:
    computed = metric(keep_in_memory=True).compute(predictions=found, references=gold)
    assert score((metric,), found, gold) == computed
