"""Prompt tuning: free word embeddings in front of the text, on a frozen backbone.

The "PT" of the P-tuning v2 paper; its released code passes the text through the embedding block
twice (`embed_twice`), which its authors call unverified.
"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.backbones import Backbone
from ptbench.encoders import Table
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import InputPrompt


@dataclass(frozen=True)
class PromptTuning(Method):
    """`init_std` is the spread of the first rows: 0.02 in the released code."""

    prompt_length: int
    init_std: float
    embed_twice: bool

    title: ClassVar[str] = "prompt tuning"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        kind = kind.in_front(self.prompt_length)
        table = Table(self.prompt_length, backbone.words.embedding_dim, self.init_std)
        return Adapted(
            kind,
            backbone,
            InputPrompt(table, self.embed_twice),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
