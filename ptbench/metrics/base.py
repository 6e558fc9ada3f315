"""What all metrics share: the form of what they compare, and their scores of random answers."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import fmean
from typing import Any, ClassVar

import evaluate
from datasets import Features, Value

SEED = 0
ROWS = 1000  # random answers are drawn for the whole split until so many rows are scored


class Metric(evaluate.Metric, ABC):
    """Named scores of all predictions of a split; nothing is fetched.

    `prediction` and `reference` are the forms of one row of each.
    """

    prediction: ClassVar[Any] = Value("int64")
    reference: ClassVar[Any] = Value("int64")

    @abstractmethod
    def scores(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        """The scores, by name."""

    def counts(self, prediction: Any, reference: Any) -> tuple[float, ...] | None:
        """What a row adds to the sums of `of_sums`; None where a score needs all rows at once."""
        return None

    def of_sums(self, *sums: float) -> dict[str, float]:
        """The main scores from sums over rows: what a bootstrap scores a thousand times."""
        raise NotImplementedError(f"{type(self).__name__} counts nothing by row")

    def random_scores(self, references: list[Any]) -> dict[str, float]:
        """Expected scores of the reference answers in random order.

        They are what a guesser gets that knows how often each answer is right, and reads nothing:
        in closed form where there is one, else the mean over draws with a fixed seed.
        """
        draw = random.Random(SEED)
        drawn = [
            self.scores(self.shuffled(references, draw), references)
            for _ in range(max(1, ROWS // len(references)))
        ]
        return {name: fmean(scores[name] for scores in drawn) for name in drawn[0]}

    def shuffled(self, references: list[Any], draw: random.Random) -> list[Any]:
        """The reference answers in random order, as predictions."""
        return [self.answer(row) for row in draw.sample(references, len(references))]

    def answer(self, reference: Any) -> Any:
        """A right prediction."""
        return reference

    def _info(self) -> evaluate.MetricInfo:
        features = Features({"predictions": self.prediction, "references": self.reference})
        return evaluate.MetricInfo(
            description=type(self).__name__, citation="", inputs_description="", features=features
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride]  # evaluate's own is keyword-only
        return self.scores(list(predictions), list(references))


def score(
    metrics: Sequence[type[Metric]], predictions: list[Any], references: list[Any]
) -> dict[str, float]:
    """All scores of a task.

    Asked of the metrics themselves: evaluate's own `compute` writes a table first, which takes
    several times as long as a score, and the jackknife asks for 20 a cell.
    """
    scores: dict[str, float] = {}
    for metric in metrics:
        scores |= metric(keep_in_memory=True).scores(predictions, references)
    return scores


def random_floor(metrics: Sequence[type[Metric]], references: list[Any]) -> dict[str, float]:
    """All expected scores of random answers."""
    floor: dict[str, float] = {}
    for metric in metrics:
        floor |= metric(keep_in_memory=True).random_scores(references)
    return floor
