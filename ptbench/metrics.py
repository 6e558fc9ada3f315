"""Scores as `evaluate` metrics over scikit-learn and seqeval; nothing is fetched."""

import re
import string
from collections import Counter, defaultdict
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


class SquadV1(evaluate.Metric):
    """Exact match and F1 of words against the best of a question's answers."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("SQuAD", Value("string"), List(Value("string")))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        best = [
            [
                max(scores)
                for scores in zip(*(_match(found, one) for one in gold or [""]), strict=True)
            ]
            for found, gold in zip(predictions, references, strict=True)
        ]
        return {
            name: sum(row[i] for row in best) / len(best) for i, name in enumerate(("exact", "f1"))
        }


class SquadV2(SquadV1):
    """As SquadV1; where a question has no answer, the right one is empty."""


class ReCoRD(SquadV1):
    """As SquadV1, the answers being entities of the passage."""


class MultiRC(evaluate.Metric):
    """F1 of right answers, and the share of questions with every answer judged rightly."""

    def _info(self) -> evaluate.MetricInfo:
        reference = {"question": Value("string"), "label": Value("int64")}
        return _info("MultiRC", Value("int64"), reference)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        right: dict[str, bool] = defaultdict(lambda: True)
        for found, row in zip(predictions, references, strict=True):
            right[row["question"]] &= found == row["label"]
        f1: Any = f1_score([row["label"] for row in references], predictions, zero_division=0)  # pyright: ignore[reportArgumentType]  # stubs know only its names
        return {"f1a": float(f1), "exact": sum(right.values()) / len(right)}


def _match(found: str, gold: str) -> tuple[float, float]:
    """Whether two answers are the same, and the F1 of their words."""
    both = [
        re.sub(
            r"\b(a|an|the)\b", " ", re.sub(f"[{re.escape(string.punctuation)}]", "", text.lower())
        )
        for text in (found, gold)
    ]
    one, two = (text.split() for text in both)
    common = (Counter(one) & Counter(two)).total()
    same = float(one == two)
    return same, 2 * common / (len(one) + len(two)) if one and two else same


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
