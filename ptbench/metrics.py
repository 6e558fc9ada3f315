"""Scores as `evaluate` metrics over scikit-learn and seqeval; nothing is fetched."""

from collections.abc import Sequence
from typing import Any

import evaluate
from datasets import Features, Value
from datasets import Sequence as ListOf
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from sklearn.metrics import accuracy_score, f1_score


def _info(description: str, feature: Any) -> evaluate.MetricInfo:
    features = Features({"predictions": feature, "references": feature})
    return evaluate.MetricInfo(
        description=description, citation="", inputs_description="", features=features
    )


class Accuracy(evaluate.Metric):
    """Share of examples with the right label."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy", Value("int64"))

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return {"accuracy": float(accuracy_score(references, predictions))}


class MacroF1(evaluate.Metric):
    """F1 of each class that occurs, averaged with equal weights (SuperGLUE's CB)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("macro F1", Value("int64"))

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        score = f1_score(references, predictions, average="macro", zero_division=0)
        return {"macro_f1": float(score)}


class EntityF1(evaluate.Metric):
    """Micro F1, precision and recall of whole spans, as conlleval counts them."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("entity F1", ListOf(Value("string")))

    def _compute(
        self, predictions: Sequence[list[str]], references: Sequence[list[str]]
    ) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gold, found = list(references), list(predictions)
        return {
            "f1": float(entity_f1(gold, found, zero_division=0)),
            "precision": float(precision_score(gold, found, zero_division=0)),
            "recall": float(recall_score(gold, found, zero_division=0)),
        }


def score(
    metrics: Sequence[type[evaluate.Metric]], predictions: list[Any], references: list[Any]
) -> dict[str, float]:
    """All metrics of a task, each between 0 and 1."""
    scores: dict[str, float] = {}
    for metric in metrics:
        computed = metric(keep_in_memory=True).compute(
            predictions=predictions, references=references
        )
        scores |= computed or {}
    return scores
