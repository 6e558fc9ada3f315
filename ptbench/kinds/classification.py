"""One label for each example, from a linear layer on one pooled vector."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.dropout import Dropout
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.heads import Head, linear
from ptbench.metrics import Accuracy, Metric, MultiRC
from ptbench.patterns import Template
from ptbench.templates import Encoder


class PooledHead(Head):
    """Dropout and a linear layer on the pooled vector."""

    name = "linear"

    def __init__(self, backbone: Backbone, labels: int):
        super().__init__()
        self.dropout = Dropout(backbone.dropout)
        self.classifier = linear(backbone.width, labels)

    def read(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "rows width"]:
        return backbone.pool(hidden, batch.text)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows width"], batch: Batch
    ) -> Float[Tensor, "rows labels"]:
        return self.classifier(self.dropout(hidden))


@dataclass(frozen=True)
class Classification(Kind):
    """One label an example. `words` are the verbalizer's, for each label in order."""

    target: str = "label"
    metrics: tuple[type[Metric], ...] = (Accuracy,)
    main_metric: str = "accuracy"
    words: tuple[str, ...] = ()

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        encoded = encoder.lay_out(template, {name: example[name] for name in template.fields})
        return Features(encoded, self.label(example[self.target]))

    def reference(self, example: Example) -> int:
        return self.label(example[self.target])

    def classes(self, example: Example) -> list[str]:
        value = example[self.target]
        return [self.labels[self.label(value)]] if isinstance(value, int | str) else []

    def head(self, backbone: Backbone) -> Head:
        return PooledHead(backbone, len(self.labels))

    def predict(self, logits: Tensor, batch: Batch) -> list[int]:
        return logits.argmax(-1).tolist()

    def answer(self, prediction: int, example: Example) -> str:
        return self.labels[prediction]

    def constant(self, references: list[Any]) -> list[int]:
        return [Counter(references).most_common(1)[0][0]] * len(references)


@dataclass(frozen=True)
class Grouped(Classification):
    """A classification whose examples are the answers to questions, which are scored whole too.

    `group` is the column that names an example's question.
    """

    metrics: tuple[type[Metric], ...] = (MultiRC,)
    main_metric: str = "f1a"
    group: str = "group"

    def reference(self, example: Example) -> Any:
        self._check_columns(example, self.group)
        return {"question": str(example[self.group]), "label": super().reference(example)}

    def unit(self, example: Example) -> str:
        """The question."""
        return str(example[self.group])

    def constant(self, references: list[Any]) -> list[int]:
        """The label that scores best when all have it: rarely the most frequent one."""
        answers = ([label] * len(references) for label in range(len(self.labels)))
        return max(answers, key=lambda found: self.main_score(found, references))
