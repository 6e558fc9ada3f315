"""Prefix-tuning (Li & Liang 2021): keys and values of every layer, made by an MLP."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import LayerPrompt


@dataclass(frozen=True)
class PrefixTuning(Method):
    """The MLP trains (section 4.3) and is folded into a table when saved.

    `shifted` counts text positions from the prefix on, as the authors' GPT-2 code does.
    """

    prefix_length: int
    hidden: int
    dropout: float
    shifted: bool

    title: ClassVar[str] = "prefix-tuning"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        width = LayerPrompt.width(backbone)
        encoder = MLP(self.prefix_length, backbone.width, self.hidden, width, nn.Tanh())
        return Adapted(
            kind,
            backbone,
            LayerPrompt(backbone, encoder, self.dropout, self.shifted),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
