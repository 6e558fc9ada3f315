"""Floors: the best constant answer, and the expected score of random answers."""

import random
from itertools import chain, permutations
from statistics import fmean
from typing import Any

import pytest

from ptbench.kinds import Classification, Labelling, bio
from ptbench.metrics import (
    BLEU,
    MCC,
    NIST,
    ROUGE,
    TER,
    Accuracy,
    CaptionROUGE,
    CharacterBLEU,
    CharacterROUGE,
    ChrF,
    CIDEr,
    EntityF1,
    MacroF1,
    Metric,
    MultiRC,
    Pearson,
    PositiveF1,
    PrecisionAt1,
    ReCoRD,
    Spearman,
    SquadV1,
    SquadV2,
    SrlF1,
    StemMETEOR,
    UncasedBLEU,
    score,
)

NAMES = Labelling(labels=bio("PER", "LOC"))
CHOICES = Classification(
    labels=("a", "b", "c"), text="{x}", pattern="{x}", metrics=(Accuracy, MacroF1)
)
LABELS = [0, 1, 1, 0, 2]
BINARY = [0, 1, 1, 0, 1]
NUMBERS = [0.0, 2.5, 2.5, 1.0, 5.0]
QUESTIONS = [
    {"question": name, "label": label} for name, label in zip("aabbc", BINARY, strict=True)
]
TAGS = [["B-PER", "I-PER", "O"], ["B-LOC"], ["O", "B-PER"]]
ANSWERS = [["a red ox"], ["red", "an ox"], ["blue"], ["ox blue"]]
TEXTS = [
    ["an ox is red today", "red is the ox"],
    ["the blue ox is here now"],
    ["ox is not blue at all"],
]
CLOSED: list[tuple[type[Metric], list[Any]]] = [
    (Accuracy, LABELS),
    (MacroF1, LABELS),
    (PositiveF1, BINARY),
    (MCC, LABELS),
    (PrecisionAt1, ["ox", "red", "ox", "blue", "red"]),
    (MultiRC, QUESTIONS),
    (Pearson, NUMBERS),
    (Spearman, NUMBERS),
]
DRAWN: list[tuple[type[Metric], list[Any]]] = [
    (EntityF1, TAGS),
    (SrlF1, TAGS),
    (SquadV1, ANSWERS),
    (SquadV2, [*ANSWERS[:3], []]),
    (ReCoRD, ANSWERS),
    *((metric, TEXTS) for metric in (BLEU, UncasedBLEU, NIST, ROUGE, ChrF, TER, StemMETEOR)),
    *((metric, TEXTS) for metric in (CaptionROUGE, CIDEr, CharacterBLEU, CharacterROUGE)),
]


def made(metric: type[Metric]) -> Metric:
    return metric(keep_in_memory=True)


def test_the_floor_of_a_classification_is_its_majority() -> None:
    floor = CHOICES.floor([2, 1, 2, 0, 2])
    # class 2 has recall 1 and precision 3/5, the other two have nothing
    assert floor == pytest.approx({"accuracy": 3 / 5, "macro_f1": (6 / 8) / 3})


def test_the_floor_of_a_labelling_is_no_entity() -> None:
    gold = [["B-PER", "O"], ["O", "O"]]
    assert NAMES.floor(gold) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


def test_the_random_floor_of_a_classification_by_hand() -> None:
    floor = CHOICES.random_floor([2, 1, 2, 0, 2])
    assert floor == pytest.approx({"accuracy": (9 + 1 + 1) / 25, "macro_f1": 1 / 3})


@pytest.mark.parametrize(("metric", "references"), CLOSED)
def test_closed_forms_are_the_mean_over_all_orders(
    metric: type[Metric], references: list[Any]
) -> None:
    one = made(metric)
    right = [one.answer(row) for row in references]
    scores = [one.scores(list(order), references) for order in set(permutations(right))]
    expected = {name: fmean(row[name] for row in scores) for name in scores[0]}
    assert one.random_scores(references) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("metric", "references"), [DRAWN[0], DRAWN[2], DRAWN[3]])
def test_drawn_floors_are_near_the_mean_over_all_orders(
    metric: type[Metric], references: list[Any]
) -> None:
    one, words = made(metric), [word for row in references for word in row]
    if metric is EntityF1:
        cuts = [len(row) for row in references]
        orders = [
            [list(order[sum(cuts[:i]) :][:n]) for i, n in enumerate(cuts)]
            for order in set(permutations(words))
        ]
    else:
        orders = [list(order) for order in permutations(map(one.answer, references))]
    scores = [one.scores(order, references) for order in orders]
    expected = {name: fmean(row[name] for row in scores) for name in scores[0]}
    assert one.random_scores(references) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("metric", "references"), DRAWN)
def test_drawn_floors_are_the_same_each_time(
    metric: type[Metric], references: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ptbench.metrics.base.ROWS", 12)  # three or four draws
    floor = made(metric).random_scores(references)
    random.seed(1)
    assert made(metric).random_scores(references) == floor


def test_drawn_labels_are_those_of_the_data() -> None:
    drawn = made(EntityF1).shuffled(TAGS, random.Random(0))
    assert [len(row) for row in drawn] == [len(row) for row in TAGS]
    assert sorted(chain(*drawn)) == sorted(chain(*TAGS))
    assert drawn != TAGS


@pytest.mark.parametrize(("metric", "references"), [*CLOSED, *DRAWN])
def test_right_answers_are_best_and_the_order_of_rows_is_nothing(
    metric: type[Metric], references: list[Any]
) -> None:
    one, draw = made(metric), random.Random(0)
    right = score((metric,), [one.answer(row) for row in references], references)
    drawn = one.shuffled(references, draw)
    scores = score((metric,), drawn, references)
    for name, best in right.items():
        assert best == 0 if name == "ter" else best > 0.9 or name in ("nist", "cider")
        assert scores[name] >= best if name == "ter" else scores[name] <= best + 1e-12
    order = draw.sample(range(len(references)), len(references))
    moved = score((metric,), [drawn[i] for i in order], [references[i] for i in order])
    assert moved == pytest.approx(scores, abs=1e-12)
