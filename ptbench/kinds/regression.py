"""One number for each example, from a linear layer on one pooled vector."""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.errors import DataError
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.heads import Head
from ptbench.metrics import Metric, Pearson, Spearman
from ptbench.patterns import Template
from ptbench.templates import Encoder


@dataclass(frozen=True)
class Regression(Kind):
    """A number from `least` to `most` an example, learnt by its squared error.

    Predictions are not held within these bounds: correlations do not ask for it.
    """

    labels: tuple[str, ...] = field(default=(), kw_only=True)
    target: str = "label"
    metrics: tuple[type[Metric], ...] = (Pearson, Spearman)
    main_metric: str = "pearson"
    least: float = field(kw_only=True)
    most: float = field(kw_only=True)

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        encoded = encoder.lay_out(template, {name: example[name] for name in template.fields})
        return Features(encoded, self.reference(example))

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: self.least}

    def reference(self, example: Example) -> float:
        value = example[self.target]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.least <= value <= self.most:
            raise DataError(
                f"'{self.target}' is {str(value)[:40]!r}, not a number from {self.least:g} to "
                f"{self.most:g}"
            )
        return float(value)

    def head(self, backbone: Backbone) -> Head:
        return PooledHead(backbone, 1)

    def loss(self, logits: Float[Tensor, "rows 1"], batch: Batch) -> Tensor:
        """Sum of the squared errors; the loop divides by the number of rows."""
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.mse_loss(scores, batch.targets.to(scores.dtype), reduction="sum")

    def predict(self, logits: Float[Tensor, "rows 1"], batch: Batch) -> list[float]:
        return logits[:, 0].tolist()

    def constant(self, references: list[Any]) -> list[float]:
        """The mean, which has the least squared error; its correlation is 0."""
        return [fmean(references)] * len(references)
