"""Prefix-tuning (Li & Liang 2021): keys and values of every layer, made by an MLP."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP, joined
from ptbench.errors import ConfigError
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import InfixPrompt, LayerPrompt
from ptbench.words import word_ids


@dataclass(frozen=True)
class PrefixTuning(Method):
    """The MLP trains (section 4.3) and is folded into a table when saved.

    Encoder-decoders get an MLP for each site: the encoder's, the decoder's and the cross-attention.
    `shifted` counts text positions from the prefix on, as the authors' GPT-2 code does. `layers`
    null means all. `infix` puts the prompt between source and text (section 7.3), for tasks whose
    answer is written. `init_std` null starts the MLP as torch does, rows from N(0, 1);
    `init_words` fits it to these words' activations (section 7.4).
    """

    prefix_length: int
    hidden: int
    dropout: float
    shifted: bool
    layers: list[int] | None = None
    infix: bool = False
    init_std: float | None = None
    init_words: str | None = None

    title: ClassVar[str] = "prefix-tuning"

    @property
    def name(self) -> str:
        return f"{self.title}, infix" if self.infix else self.title

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        if self.infix and not kind.writes:
            raise ConfigError(
                "method.infix=true: the answers of this task are not written behind its texts; "
                "set method.infix=false, or take a task that writes"
            )
        inner, widths = backbone.width, LayerPrompt.widths(backbone, self.layers)
        encoder = joined(
            lambda width: MLP(
                self.prefix_length, inner, self.hidden, width, nn.Tanh(), self.init_std
            ),
            widths,
        )
        place = InfixPrompt if self.infix else LayerPrompt
        words = word_ids(backbone, self.init_words, self.prefix_length)
        return Adapted(
            kind,
            backbone,
            place(backbone, encoder, self.dropout, self.shifted, self.layers, words),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
