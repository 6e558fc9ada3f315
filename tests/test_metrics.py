"""Scores: hand-worked cases, and agreement with the libraries that papers use."""

import random

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from sklearn.metrics import accuracy_score
from sklearn.metrics import f1_score as class_f1

from ptbench.kinds import Classification, Labelling, bio
from ptbench.metrics import Accuracy, EntityF1, MacroF1, score

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


def test_agrees_with_seqeval_on_random_labels() -> None:
    draw = random.Random(0)
    lengths = [draw.randint(1, 9) for _ in range(200)]
    gold, found = ([draw.choices(NAMES.labels, k=n) for n in lengths] for _ in range(2))
    expected = {
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
    scores = score((Accuracy, MacroF1), found, gold)
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold, found))
    assert scores["macro_f1"] == pytest.approx(class_f1(gold, found, average="macro"))


def test_the_floor_of_a_classification_is_its_majority() -> None:
    kind = Classification(
        labels=("a", "b", "c"), text="{x}", pattern="{x}", metrics=(Accuracy, MacroF1)
    )
    floor = kind.floor([2, 1, 2, 0, 2])
    # class 2 has recall 1 and precision 3/5, the other two have nothing
    assert floor == pytest.approx({"accuracy": 3 / 5, "macro_f1": (6 / 8) / 3})


def test_the_floor_of_a_labelling_is_no_entity() -> None:
    gold = [["B-PER", "O"], ["O", "O"]]
    assert NAMES.floor(gold) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}
