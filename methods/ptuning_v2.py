"""P-tuning v2 (Liu et al. 2022): free keys and values of every layer, and a linear head."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP, Encoder, Table
from ptbench.kinds import Cloze, Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import LayerPrompt
from ptbench.words import word_ids


class HeadName(StrEnum):
    """What answers: the task's own head, or its words on the LM head (table 4)."""

    own = "own"
    verbalizer = "verbalizer"


@dataclass(frozen=True)
class PTuningV2(Method):
    """`reparameterize` makes the prefix by an MLP of `hidden` units; `layers` null means all.

    `shifted` counts text positions from the prefix on, as the authors' code does. `init_std` is
    the spread of all its first weights: 0.02 as in the checkpoints' own; null starts them as torch
    does, a table's from N(0, 1). `init_words` starts from these words' activations. `head`
    verbalizer answers by the task's words, for classifications on backbones with an LM head.
    """

    prefix_length: int
    dropout: float
    reparameterize: bool
    hidden: int
    shifted: bool
    layers: list[int] | None
    init_std: float | None = 0.02
    init_words: str | None = None
    head: HeadName = HeadName.own

    title: ClassVar[str] = "P-tuning v2"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        encoder = self._encoder(backbone)
        words = word_ids(backbone, self.init_words, self.prefix_length)
        kind = Cloze.plain(kind, backbone) if self.head is HeadName.verbalizer else kind
        return Adapted(
            kind,
            backbone,
            LayerPrompt(backbone, encoder, self.dropout, self.shifted, self.layers, words),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )

    def _encoder(self, backbone: Backbone) -> Encoder:
        width = LayerPrompt.width(backbone, self.layers)
        if self.reparameterize:
            inner = backbone.width
            return MLP(self.prefix_length, inner, self.hidden, width, nn.Tanh(), self.init_std)
        return Table(self.prefix_length, width, self.init_std)
