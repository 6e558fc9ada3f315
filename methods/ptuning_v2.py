"""P-tuning v2 (Liu et al. 2022): free keys and values of every layer, and a linear head."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP, Encoder, Table
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import LayerPrompt


@dataclass(frozen=True)
class PTuningV2(Method):
    """`reparameterize` makes the prefix by an MLP of `hidden` units; `layers` null means all.

    `shifted` counts text positions from the prefix on, as the authors' code does.
    """

    prefix_length: int
    dropout: float
    reparameterize: bool
    hidden: int
    shifted: bool
    layers: list[int] | None

    title: ClassVar[str] = "P-tuning v2"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        return Adapted(
            kind,
            backbone,
            LayerPrompt(backbone, self._encoder(backbone), self.dropout, self.shifted, self.layers),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )

    def _encoder(self, backbone: Backbone) -> Encoder:
        width = LayerPrompt.width(backbone, self.layers)
        if self.reparameterize:
            inner = backbone.width
            return MLP(self.prefix_length, inner, self.hidden, width, nn.Tanh(), std=0.02)
        return Table(self.prefix_length, width)
