"""Prompt tuning: free word embeddings in front of the text, on a frozen backbone.

The "PT" of the P-tuning v2 paper; its released code passes the text through the embedding block
twice (`embed_twice`), which its authors call unverified.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ptbench.backbones import Backbone
from ptbench.encoders import Table
from ptbench.errors import ConfigError
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import InputPrompt
from ptbench.words import drawn_ids, word_ids


class Init(StrEnum):
    """Where the rows start: at random numbers, or at rows of the backbone's word embeddings."""

    normal = "normal"
    vocabulary = "vocabulary"


@dataclass(frozen=True)
class PromptTuning(Method):
    """`init_std` is the spread of `normal` rows: 0.02 in the released code.

    `vocabulary` takes the embeddings of `init_words`, or of words drawn at random where that is
    null (Lester et al. 2021, section 3.2).
    """

    prompt_length: int
    init_std: float
    embed_twice: bool
    init: Init = Init.normal
    init_words: str | None = None

    title: ClassVar[str] = "prompt tuning"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        kind = kind.in_front(self.prompt_length)
        table = Table(self.prompt_length, backbone.words.embedding_dim, self.init_std)
        return Adapted(
            kind,
            backbone,
            InputPrompt(table, self.embed_twice, self._words(backbone)),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )

    def _words(self, backbone: Backbone) -> list[int]:
        if self.init is Init.vocabulary and self.init_words is None:
            return drawn_ids(backbone, self.prompt_length)
        if self.init is Init.normal and self.init_words is not None:
            raise ConfigError(
                f"method.init_words={self.init_words!r} and method.init=normal: the rows start at "
                "one of both; set method.init=vocabulary, or method.init_words=null"
            )
        return word_ids(backbone, self.init_words, self.prompt_length)
