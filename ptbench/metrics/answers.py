"""Scores of an answer in words against several right ones."""

import re
import string
from collections import Counter
from collections.abc import Callable
from statistics import fmean
from typing import Any, ClassVar

from datasets import List, Value

from ptbench.metrics.base import Metric

Words = list[str]
PUNCTUATION = str.maketrans("", "", string.punctuation)


class SquadV1(Metric):
    """Exact match and F1 of words, for each question the best over its answers.

    Rajpurkar et al. 2016, as the official script counts; where there is no answer, only nothing is
    right.
    """

    prediction: ClassVar[Any] = Value("string")
    reference: ClassVar[Any] = List(Value("string"))

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        rows = map(self.counts, predictions, references)
        return self.of_sums(*map(sum, zip(*rows, strict=True)))

    def counts(self, prediction: str, reference: list[str]) -> tuple[float, ...]:
        found, answers = words(prediction), [words(text) for text in reference] or [[]]
        return _best(_exact, found, answers), _best(_f1, found, answers), 1.0

    def of_sums(self, *sums: float) -> dict[str, float]:
        exact, f1, rows = sums
        return {"exact": exact / rows, "f1": f1 / rows}

    def answer(self, reference: list[str]) -> str:
        return reference[0] if reference else ""


class ReCoRD(SquadV1):
    """SQuAD's count, the answers being entities of the passage (Zhang et al. 2018)."""


class SquadV2(SquadV1):
    """As SquadV1; a question without answers is right when the prediction is empty.

    Rajpurkar et al. 2018, as the official script counts at its default threshold; the `has_ans`
    and `no_ans` scores are over the questions with and without answers, where there are any.
    """

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        parts: dict[str, list[list[float]]] = {"": [], "has_ans_": [], "no_ans_": []}
        for found, gold in zip(predictions, references, strict=True):
            *pair, _ = self.counts(found, gold)
            parts[""].append(pair)
            parts["has_ans_" if gold else "no_ans_"].append(pair)
        return {
            f"{part}{name}": fmean(pair[place] for pair in pairs)
            for part, pairs in parts.items()
            for place, name in enumerate(("exact", "f1"))
            if pairs
        }

    def counts(self, prediction: str, reference: list[str]) -> tuple[float, ...]:
        found, answers = words(prediction), [text for text in map(words, reference) if text] or [[]]
        return _best(_exact, found, answers), _best(_f1_or_empty, found, answers), 1.0


def words(text: str) -> Words:
    """What is compared: words in lower case without ASCII punctuation and English articles."""
    plain = text.lower().translate(PUNCTUATION)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def _best(measure: Callable[[Words, Words], float], found: Words, answers: list[Words]) -> float:
    return max(measure(found, gold) for gold in answers)


def _exact(found: Words, gold: Words) -> float:
    return float(found == gold)


def _f1(found: Words, gold: Words) -> float:
    return 2 * (Counter(found) & Counter(gold)).total() / ((len(found) + len(gold)) or 1)


def _f1_or_empty(found: Words, gold: Words) -> float:
    return _f1(found, gold) if found and gold else float(found == gold)
