"""Prefix-tuning (Li & Liang 2021): keys and values of every layer, made by an MLP."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP, joined
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import LayerPrompt


@dataclass(frozen=True)
class PrefixTuning(Method):
    """The MLP trains (section 4.3) and is folded into a table when saved.

    Encoder-decoders get an MLP for each site: the encoder's, the decoder's and the cross-attention.
    `shifted` counts text positions from the prefix on, as the authors' GPT-2 code does.
    """

    prefix_length: int
    hidden: int
    dropout: float
    shifted: bool

    title: ClassVar[str] = "prefix-tuning"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        encoder = joined(
            lambda width: MLP(self.prefix_length, backbone.width, self.hidden, width, nn.Tanh()),
            LayerPrompt.widths(backbone),
        )
        return Adapted(
            kind,
            backbone,
            LayerPrompt(backbone, encoder, self.dropout, self.shifted),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
