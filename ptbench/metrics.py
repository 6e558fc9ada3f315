"""Scores as `evaluate` metrics over scikit-learn and seqeval; nothing is fetched."""

from collections.abc import Sequence
from typing import Any

import evaluate
from datasets import Features, List, Value
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from sklearn.metrics import accuracy_score, f1_score


def _info(description: str, feature: Any, reference: Any = None) -> evaluate.MetricInfo:
    features = Features({"predictions": feature, "references": reference or feature})
    return evaluate.MetricInfo(
        description=description, citation="", inputs_description="", features=features
    )


class Accuracy(evaluate.Metric):
    """Share of examples with the right label."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy", Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        return {"accuracy": float(accuracy_score(references, predictions))}


class MacroF1(evaluate.Metric):
    """F1 of each class that occurs, averaged with equal weights (SuperGLUE's CB)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("macro F1", Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        score: Any = f1_score(references, predictions, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]  # stubs know only its names
        return {"macro_f1": float(score)}


class EntityF1(evaluate.Metric):
    """Micro F1, precision and recall of whole spans, as conlleval counts them."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("entity F1", List(Value("string")))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        scores: dict[str, Any] = {"f1": entity_f1, "precision": precision_score}
        scores["recall"] = recall_score
        return {
            name: float(score(references, predictions, zero_division=0))
            for name, score in scores.items()
        }


class Bleu(evaluate.Metric):
    """Corpus BLEU-4 of sacrebleu (13a), each text against all its references."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("BLEU", Value("string"), List(Value("string")))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        from sacrebleu import corpus_bleu

        most = max(map(len, references))
        streams = [[row[i] if i < len(row) else None for row in references] for i in range(most)]
        return {"bleu": corpus_bleu(predictions, streams).score / 100}  # pyright: ignore[reportArgumentType]  # None: this text has fewer references


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
