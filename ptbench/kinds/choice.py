"""One of several choices for each example, each choice read in a row of its own."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ptbench.backbones import Backbone
from ptbench.errors import DataError
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds.base import Example, Features
from ptbench.kinds.classification import Classification, PooledHead
from ptbench.kinds.heads import Head
from ptbench.metrics import Metric, ReCoRD
from ptbench.patterns import Template
from ptbench.templates import Encoder

DRAWS = 10  # of random choices, for their floor


class ChoiceHead(PooledHead):
    """Dropout and one logit a row on the pooled vector, an example's logits side by side."""

    def __init__(self, backbone: Backbone):
        super().__init__(backbone, 1)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows width"], batch: Batch
    ) -> Float[Tensor, "examples choices"]:
        logits = super().forward(backbone, hidden, batch)[:, 0]
        absent = torch.finfo(logits.dtype).min  # where an example has fewer choices than others
        return pad_sequence(list(logits.split(batch.sizes)), True, absent)


@dataclass(frozen=True)
class Choice(Classification):
    """One right choice an example, by a softmax over its choices.

    `choices` names the columns that hold them, each a text or a list of texts; one after the other
    they stand at `{choice}`. Examples may differ in the number of their choices.
    """

    choices: tuple[str, ...] = ()

    def options(self, example: Example) -> list[str]:
        """The choices of an example. Raises DataError where there is none to read."""
        self._check_columns(example, *self.choices)
        found: list[str] = []
        for column in self.choices:
            value = example[column]
            texts = [value] if isinstance(value, str) else value
            if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
                raise DataError(f"'{column}' is {str(value)[:40]!r}, not a text or a list of texts")
            found += texts
        if not found:
            raise DataError(f"no choice in {', '.join(self.choices)}; drop the row")
        return found

    def right(self, example: Example) -> list[int]:
        """The numbers of the choices that are right."""
        return [self.label(example[self.target])]

    def filled(self, example: Example, choice: str) -> Mapping[str, Any]:
        """The example with the template's fields for one choice."""
        return {**example, "choice": choice}

    def check_text(self, example: Example) -> None:
        self._check_columns(example, *(name for name in self.template.fields if name != "choice"))
        for choice in self.options(example):
            super().check_text(self.filled(example, choice))

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        filled = [self.filled(example, choice) for choice in self.options(example)]
        texts = [{name: fields[name] for name in template.fields} for fields in filled]
        first, *others = (encoder.lay_out(template, fields) for fields in texts)
        return Features(first, self.right(example), more=tuple(others))

    def head(self, backbone: Backbone) -> Head:
        return ChoiceHead(backbone)

    def loss(self, logits: Float[Tensor, "examples choices"], batch: Batch) -> Tensor:
        """Sum of the cross-entropies of all right choices."""
        return super().loss(logits[:, None].expand(-1, batch.targets.shape[1], -1), batch)


@dataclass(frozen=True)
class Candidates(Choice):
    """A choice among texts, of which several may be right; the chosen text is scored.

    `target` is a column of right texts. A text that stands twice among the choices is one choice.
    """

    target: str = "answers"
    metrics: tuple[type[Metric], ...] = (ReCoRD,)
    main_metric: str = "f1"

    def options(self, example: Example) -> list[str]:
        return list(dict.fromkeys(super().options(example)))

    def right(self, example: Example) -> list[int]:
        right = example[self.target]
        return [i for i, text in enumerate(self.options(example)) if text in right] or [IGNORE]

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: []}

    def answer(self, prediction: int, example: Example) -> str:
        return self.options(example)[prediction]

    def reference(self, example: Example) -> Any:
        return {"choices": self.options(example), "answers": example[self.target]}

    def compared(
        self, predictions: list[Any], references: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        pairs = zip(predictions, references, strict=True)
        texts = [reference["choices"][choice] for choice, reference in pairs]
        return texts, [reference["answers"] for reference in references]

    def random_floor(self, references: list[Any]) -> dict[str, float]:
        """What a choice at random scores, on average over draws with a fixed seed."""
        draw = random.Random(0)
        drawn = [
            self.score([draw.randrange(len(row["choices"])) for row in references], references)
            for _ in range(DRAWS)
        ]
        return {name: fmean(scores[name] for scores in drawn) for name in drawn[0]}

    def constant(self, references: list[Any]) -> list[int]:
        """The choice that is named first."""
        return [0] * len(references)
