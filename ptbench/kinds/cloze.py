"""One label for each example, from the words that the LM head expects at a mask."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.errors import ConfigError, DataError
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.classification import Classification
from ptbench.kinds.heads import Head
from ptbench.patterns import Slots, Template
from ptbench.templates import Encoder


class VerbalizerHead(Head):
    """The LM head's logits of each label's word at the mask (P-tuning v1, few-shot code)."""

    name = "verbalizer"

    def __init__(self, backbone: Backbone, words: list[int]):
        super().__init__(backbone.lm_head)
        self.register_buffer("words", torch.tensor(words), persistent=False)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "rows labels"]:
        rows = torch.arange(len(hidden), device=hidden.device)
        assert self.pretrained is not None
        return self.pretrained(hidden[rows, batch.answer][:, None])[:, 0, self.words]


@dataclass(frozen=True)
class Cloze(Classification):
    """A classification answered at the `[MASK]` of its pattern by one word a label.

    A decoder reads what stands before the mask and answers behind its last token.
    """

    @classmethod
    def of(cls, kind: Classification, slots: Slots) -> "Cloze":
        """The cloze form of a classification that has a pattern and words."""
        return cls(
            kind.labels,
            kind.pattern,
            kind.pattern,
            kind.target,
            kind.metrics,
            kind.main_metric,
            slots=slots,
            words=kind.words,
        )

    @classmethod
    def plain(cls, kind: Kind, backbone: Backbone) -> "Cloze":
        """The cloze form without pseudo tokens, for a prompt that stands elsewhere.

        Raises ConfigError where the task has no words or the backbone no LM head.
        """
        if not (isinstance(kind, Classification) and kind.words and backbone.has_lm_head):
            lack = (
                "the task has no words" if backbone.has_lm_head else "the backbone has no LM head"
            )
            raise ConfigError(f"the verbalizer cannot answer: {lack}; set method.head=own")
        cloze = cls.of(kind, slots=0)
        if backbone.fills_masks:
            return cloze
        return replace(cloze, text=cloze.text.split("[MASK]")[0])

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        features = super().encode(example, encoder, template)
        if features.encoded.answer < 0:
            features.encoded.answer = len(features.encoded.ids) - 1
        return features

    def head(self, backbone: Backbone) -> Head:
        encoder = Encoder(backbone.tokenizer, 0)
        pieces = {word: encoder.pieces(word, spaced=True) for word in self.words}
        if long := {word: ids for word, ids in pieces.items() if len(ids) != 1}:
            raise DataError(
                f"verbalizer words {', '.join(long)} are not one token of this backbone's "
                "vocabulary; choose other words in the task's file"
            )
        return VerbalizerHead(backbone, [ids[0] for ids in pieces.values()])
