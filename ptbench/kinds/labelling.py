"""A label for every word, on its first piece; whole entities are scored."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.dropout import Dropout
from ptbench.errors import DataError
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.heads import Head, linear
from ptbench.metrics import EntityF1, Metric, SrlF1
from ptbench.patterns import Template
from ptbench.templates import Encoder


def bio(*names: str) -> tuple[str, ...]:
    """O, then B- and I- of each name, in pairs."""
    return ("O", *(f"{mark}-{name}" for name in names for mark in "BI"))


class TokenHead(Head):
    """Dropout and a linear layer on every token."""

    name = "linear"

    def __init__(self, backbone: Backbone, labels: int):
        super().__init__()
        self.dropout = Dropout(backbone.dropout)
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
        if not isinstance(labels, list):
            raise DataError(f"'{self.target}' is {str(labels)[:40]!r}, not a list of labels")
        if len(words) != len(labels):
            raise DataError(f"{len(words)} words, but {len(labels)} labels in '{self.target}'")

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        pieces = {name: [*map(encoder.word, example[name])] for name in template.fields}
        flat = {name: [i for word in words for i in word] for name, words in pieces.items()}
        encoded = encoder.lay_out(template, flat)
        places, target = encoded.places["tokens"], [IGNORE] * len(encoded.ids)
        start = 0
        for word, label in zip(pieces["tokens"], example[self.target], strict=True):
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

    def classes(self, example: Example) -> list[str]:
        """The types of the entities, one for each."""
        return [name[2:] for name in self.reference(example) if name.startswith("B-")]

    def head(self, backbone: Backbone) -> Head:
        return TokenHead(backbone, len(self.labels))

    def predict(self, logits: Tensor, batch: Batch) -> list[list[str]]:
        found = logits.argmax(-1)
        labelled = batch.targets != IGNORE
        return [
            [self.labels[i] for i in row[mask].tolist()]
            for row, mask in zip(found, labelled, strict=True)
        ]

    def compared(
        self, predictions: list[Any], references: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        pairs = zip(predictions, references, strict=True)
        return [_whole(found, len(gold)) for found, gold in pairs], references

    def constant(self, references: list[Any]) -> list[list[str]]:
        return [["O"] * len(row) for row in references]


@dataclass(frozen=True)
class Roles(Labelling):
    """The roles of one predicate's arguments (semantic role labelling).

    The word at `predicate_index` is read once more behind the sentence, as in P-tuning v2's code;
    there both are one segment, here they are two, each with its token type. The official score
    leaves the verb out; `f1` counts it, as that code reports.
    """

    text: str = "{tokens}[SEP]{predicate_word}"
    pattern: str = "[P] {tokens} [P][SEP]{predicate_word} [P]"
    target: str = "srl_tags"
    metrics: tuple[type[Metric], ...] = (SrlF1, EntityF1)
    main_metric: str = "srl_f1"

    def unit(self, example: Example) -> tuple[str, ...]:
        """The sentence, which has a row for each of its predicates."""
        return tuple(example["tokens"])

    def check_text(self, example: Example) -> None:
        self._check_columns(example, "tokens", "predicate_index")
        index, words = example["predicate_index"], example["tokens"]
        if not (isinstance(index, int) and 0 <= index < len(words)):
            raise DataError(f"'predicate_index' is {index!r}, not one of the {len(words)} words")
        super().check_text(_with_predicate(example))

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        return super().encode(_with_predicate(example), encoder, template)


def _with_predicate(example: Example) -> Example:
    return {**example, "predicate_word": [example["tokens"][example["predicate_index"]]]}


def _whole(labels: list[str], words: int) -> list[str]:
    """The labels with O for the words that the length limit cut off."""
    return labels + ["O"] * (words - len(labels))
