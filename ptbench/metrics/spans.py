"""Scores of labelled words, counted by whole spans."""

import random
from itertools import chain
from typing import Any, ClassVar

from datasets import List, Value
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

from ptbench.metrics.base import Metric


class EntityF1(Metric):
    """Micro F1, precision and recall of whole spans, as conlleval counts them.

    It is also what P-tuning v2 reports for SRL: V is a span, and each C- span one of its own.
    """

    prediction: ClassVar[Any] = List(Value("string"))
    reference: ClassVar[Any] = List(Value("string"))

    def scores(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        whole: Any = {"average": "micro", "zero_division": 0}
        found: Any = precision_recall_fscore_support(references, predictions, **whole)
        precision, recall, f1, _ = found
        return {"f1": float(f1), "precision": float(precision), "recall": float(recall)}

    def counts(self, prediction: list[str], reference: list[str]) -> tuple[float, ...]:
        found, gold = set(get_entities(prediction)), set(get_entities(reference))
        return float(len(found & gold)), float(len(found)), float(len(gold))

    def of_sums(self, *sums: float) -> dict[str, float]:
        right, found, gold = sums
        f1 = _share(2 * right, found + gold)
        return {"f1": f1, "precision": _share(right, found), "recall": _share(right, gold)}

    def shuffled(self, references: list[list[str]], draw: random.Random) -> list[list[str]]:
        """Every word's label from some word of the split."""
        labels = list(chain.from_iterable(references))
        drawn = iter(draw.sample(labels, len(labels)))
        return [[next(drawn) for _ in row] for row in references]


class SrlF1(EntityF1):
    """Micro F1, precision and recall of whole arguments without V (srl-eval.pl of CoNLL-2005).

    An argument is its first span and the C- spans that go on with it; a C- span with nothing
    before it opens one. R- roles are roles like others.
    """

    def scores(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        rows = map(self.counts, predictions, references)
        return self.of_sums(*map(sum, zip(*rows, strict=True)))

    def counts(self, prediction: list[str], reference: list[str]) -> tuple[float, ...]:
        found, gold = arguments(prediction), arguments(reference)
        return float(len(found & gold)), float(len(found)), float(len(gold))

    def of_sums(self, *sums: float) -> dict[str, float]:
        return {f"srl_{name}": score for name, score in super().of_sums(*sums).items()}


Span = tuple[int, int]


def arguments(labels: list[str]) -> set[tuple[str, tuple[Span, ...]]]:
    """One predicate's arguments but V, each with the first and last word of its spans."""
    joined: list[tuple[str, list[Span]]] = []
    latest: dict[str, list[Span]] = {}
    for name, first, last in get_entities(labels):
        role = name.removeprefix("C-")
        if role == name or role not in latest:
            latest[role] = []
            joined.append((role, latest[role]))
        latest[role].append((first, last))
    return {(role, tuple(spans)) for role, spans in joined if role != "V"}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
