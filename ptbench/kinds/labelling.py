"""A label for every word, on its first piece; whole entities are scored."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from ptbench.backbones import Backbone
from ptbench.errors import DataError
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds.base import Example, Features, Head, Kind, linear
from ptbench.metrics import EntityF1, Metric
from ptbench.templates import Encoder, Template


def bio(*names: str) -> tuple[str, ...]:
    """O, then B- and I- of each name, in pairs."""
    return ("O", *(f"{mark}-{name}" for name in names for mark in "BI"))


class TokenHead(Head):
    """Dropout and a linear layer on every token."""

    name = "linear"

    def __init__(self, backbone: Backbone, labels: int):
        super().__init__()
        self.dropout = nn.Dropout(backbone.dropout)
        self.classifier = linear(backbone.width, labels)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "rows tokens labels"]:
        return self.classifier(self.dropout(hidden))


@dataclass(frozen=True)
class Labelling(Kind):
    """A BIO label for every word of the field `tokens`.

    Words cut off by the length limit count as predicted O, so their entities are missed.
    """

    text: str = "{tokens}"
    pattern: str = "[P] {tokens} [P]"
    target: str = "ner_tags"
    metrics: tuple[type[Metric], ...] = (EntityF1,)
    main_metric: str = "f1"

    reads: ClassVar[str] = "a list of words"

    def readable(self, value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(word, str) for word in value)

    def check(self, example: Example) -> None:
        super().check(example)
        words, labels = example["tokens"], example[self.target]
        if len(words) != len(labels):
            raise DataError(f"{len(words)} words, but {len(labels)} labels in '{self.target}'")

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        pieces = [encoder.word(word) for word in example["tokens"]]
        encoded = encoder.lay_out(template, {"tokens": [i for word in pieces for i in word]})
        places, target = encoded.places["tokens"], [IGNORE] * len(encoded.ids)
        start = 0
        for word, label in zip(pieces, example[self.target], strict=True):
            if start < len(places):
                target[places[start]] = self.label(label)
            start += len(word)
        return Features(encoded, target)

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: [0] * len(example["tokens"])}

    def answer(self, prediction: list[str], example: Example) -> list[str]:
        return _whole(prediction, len(example["tokens"]))

    def reference(self, example: Example) -> list[str]:
        return [self.labels[self.label(label)] for label in example[self.target]]

    def head(self, backbone: Backbone) -> Head:
        return TokenHead(backbone, len(self.labels))

    def predict(self, logits: Tensor, batch: Batch) -> list[list[str]]:
        found = logits.argmax(-1)
        labelled = batch.targets != IGNORE
        return [
            [self.labels[i] for i in row[mask].tolist()]
            for row, mask in zip(found, labelled, strict=True)
        ]

    def score(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        whole = [
            _whole(found, len(gold)) for found, gold in zip(predictions, references, strict=True)
        ]
        return super().score(whole, references)

    def constant(self, references: list[Any]) -> list[list[str]]:
        return [["O"] * len(row) for row in references]


def _whole(labels: list[str], words: int) -> list[str]:
    """The labels with O for the words that the length limit cut off."""
    return labels + ["O"] * (words - len(labels))
