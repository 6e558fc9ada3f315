"""From hidden states to logits."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ptbench.backbones import Backbone
from ptbench.inputs import Batch


class Head(nn.Module, ABC):
    """What it reads of hidden states to logits; `pretrained` is what of it is the backbone's."""

    name: str

    def __init__(self, pretrained: nn.Module | None = None):
        super().__init__()
        self.pretrained = pretrained

    def read(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        """What it answers from: a vector for each token or, of it alone, one for each row.

        Nothing of it trains where the backbone is frozen.
        """
        return hidden

    @abstractmethod
    def forward(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        """Logits from what it has read."""


class Linear(nn.Linear):
    """A linear layer that reads a backbone of any precision in its own."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


def linear(width: int, labels: int) -> nn.Linear:
    """A classifier with the initialisation of transformers' heads: N(0, 0.02), no bias."""
    layer = Linear(width, labels)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
