"""Scores of one label, number or word a row."""

import math
from collections import Counter, defaultdict
from typing import Any, ClassVar

from datasets import Value
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from ptbench.metrics.base import Metric


class Accuracy(Metric):
    """Share of examples with the right label."""

    def scores(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}

    def counts(self, prediction: int, reference: int) -> tuple[float, ...]:
        return float(prediction == reference), 1.0

    def of_sums(self, *sums: float) -> dict[str, float]:
        right, rows = sums
        return {"accuracy": right / rows}

    def random_scores(self, references: list[int]) -> dict[str, float]:
        return {"accuracy": _agreement(references)}


class PrecisionAt1(Metric):
    """Share of facts whose object comes first (P@1 of LAMA, Petroni et al. 2019)."""

    prediction: ClassVar[Any] = Value("string")
    reference: ClassVar[Any] = Value("string")

    def scores(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        pairs = zip(predictions, references, strict=True)
        return {"p_at_1": sum(found == gold for found, gold in pairs) / len(references)}

    def counts(self, prediction: str, reference: str) -> tuple[float, ...]:
        return float(prediction == reference), 1.0

    def of_sums(self, *sums: float) -> dict[str, float]:
        right, rows = sums
        return {"p_at_1": right / rows}

    def random_scores(self, references: list[str]) -> dict[str, float]:
        return {"p_at_1": _agreement(references)}


class MacroF1(Metric):
    """F1 of each class that occurs, averaged with equal weights (SuperGLUE's CB)."""

    def scores(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        score: Any = f1_score(references, predictions, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]  # stubs know only its names
        return {"macro_f1": float(score)}

    def random_scores(self, references: list[int]) -> dict[str, float]:
        # A reordering keeps every class's size, so its F1 is its share of hits: its frequency.
        return {"macro_f1": 1 / len(set(references))}


class PositiveF1(Metric):
    """F1 of label 1 (GLUE's MRPC and QQP)."""

    def scores(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"f1": _positive_f1(predictions, references)}

    def random_scores(self, references: list[int]) -> dict[str, float]:
        return {"f1": references.count(1) / len(references)}


class MCC(Metric):
    """Matthews' correlation of labels, -1 to 1, 0 for a constant answer (GLUE's CoLA)."""

    def scores(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"mcc": float(matthews_corrcoef(references, predictions))}

    def random_scores(self, references: list[int]) -> dict[str, float]:
        return {"mcc": 0.0}


class MultiRC(Metric):
    """F1a, of label 1 over all answers, and the share of questions with every answer right.

    Khashabi et al. 2018; SuperGLUE reports both. A reference says which question it belongs to.
    """

    reference: ClassVar[Any] = {"question": Value("string"), "label": Value("int64")}

    def scores(self, predictions: list[int], references: list[Any]) -> dict[str, float]:
        gold = [row["label"] for row in references]
        right: dict[str, bool] = defaultdict(lambda: True)
        for found, row in zip(predictions, references, strict=True):
            right[row["question"]] &= found == row["label"]
        return {
            "f1a": _positive_f1(predictions, gold),
            "exact": sum(right.values()) / len(right),
        }

    def random_scores(self, references: list[Any]) -> dict[str, float]:
        labels = [row["label"] for row in references]
        questions: dict[str, list[int]] = defaultdict(list)
        for row in references:
            questions[row["question"]].append(row["label"])
        right = [_chance(own, labels) for own in questions.values()]
        return {"f1a": labels.count(1) / len(labels), "exact": sum(right) / len(right)}

    def answer(self, reference: Any) -> int:
        return reference["label"]


class Pearson(Metric):
    """Pearson's correlation of numbers, -1 to 1; 0 where a side is constant (GLUE's STS-B)."""

    prediction: ClassVar[Any] = Value("float64")
    reference: ClassVar[Any] = Value("float64")

    def scores(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return {"pearson": _correlation(pearsonr, predictions, references)}

    def random_scores(self, references: list[float]) -> dict[str, float]:
        return {"pearson": 0.0}


class Spearman(Pearson):
    """Pearson's correlation of ranks, ties at their mean rank."""

    def scores(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return {"spearman": _correlation(spearmanr, predictions, references)}

    def random_scores(self, references: list[float]) -> dict[str, float]:
        return {"spearman": 0.0}


def _positive_f1(predictions: list[int], references: list[int]) -> float:
    score: Any = f1_score(references, predictions, labels=[1], average="micro", zero_division=0)  # pyright: ignore[reportArgumentType]  # stubs know only its names
    return float(score)


def _correlation(measure: Any, predictions: list[float], references: list[float]) -> float:
    if len(set(predictions)) < 2 or len(set(references)) < 2:
        return 0.0  # undefined, and a constant answer says nothing
    return float(measure(predictions, references).statistic)


def _agreement(references: list[Any]) -> float:
    """How often a row and a random row have the same answer."""
    return sum((count / len(references)) ** 2 for count in Counter(references).values())


def _chance(own: list[int], labels: list[int]) -> float:
    """The chance that places with `own` labels, 0 or 1, get the same from all in random order."""
    ways = 1
    for label in (0, 1):
        ways *= math.perm(labels.count(label), own.count(label))
    return ways / math.perm(len(labels), len(own))
