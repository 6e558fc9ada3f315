"""Prefix-tuning's embedding-only ablation (Li & Liang 2021, section 7.2): no deep layers."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import MLP
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import InputPrompt
from ptbench.words import word_ids


@dataclass(frozen=True)
class PrefixEmbedding(Method):
    """Word embeddings of virtual tokens in front of the text, made by prefix-tuning's MLP.

    `init_std` null starts the MLP as torch does, rows from N(0, 1); `init_words` fits it to these
    words' embeddings.
    """

    prefix_length: int
    hidden: int
    init_std: float | None
    init_words: str | None

    title: ClassVar[str] = "prefix-tuning, embedding only"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        kind = kind.in_front(self.prefix_length)
        width = backbone.words.embedding_dim
        encoder = MLP(self.prefix_length, width, self.hidden, width, nn.Tanh(), self.init_std)
        words = word_ids(backbone, self.init_words, self.prefix_length)
        return Adapted(
            kind,
            backbone,
            InputPrompt(encoder, words=words),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
