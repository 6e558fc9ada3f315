"""A fact with a gap: which one word of the vocabulary fills it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.errors import DataError
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.cloze import VerbalizerHead
from ptbench.kinds.heads import Head
from ptbench.metrics import Metric, PrecisionAt1
from ptbench.patterns import Slots, Template
from ptbench.templates import Encoder


@dataclass(frozen=True)
class Fact(Kind):
    """One token that the LM head expects at the `[MASK]`, from the whole vocabulary or a list.

    Of `vocabulary` those words are answered that are one token; the loss is over all tokens.

    A decoder reads what stands before the mask, or its own pattern, and answers behind its last
    token. (In P-tuning v1's LAMA code GPT's loss and hits are read one place apart; here both are
    at the last token.) Examples whose answer is more than one token are left out.
    """

    labels: tuple[str, ...] = field(default=(), kw_only=True)
    metrics: tuple[type[Metric], ...] = (PrecisionAt1,)
    main_metric: str = "p_at_1"
    decoder_pattern: str = field(default="", kw_only=True)
    encoder: Encoder | None = field(default=None, kw_only=True)
    vocabulary: tuple[str, ...] = field(default=(), kw_only=True)
    allowed: frozenset[int] = field(default=frozenset(), kw_only=True)

    def fitted(self, backbone: Backbone) -> "Fact":
        encoder = Encoder(backbone.tokenizer, 0)
        pieces = (encoder.pieces(word, spaced=True) for word in self.vocabulary)
        single = frozenset(ids[0] for ids in pieces if len(ids) == 1 and ids != [encoder.unknown])
        kind = replace(self, encoder=encoder, allowed=single)
        if backbone.fills_masks:
            return kind
        return replace(kind, text=self.text.split("[MASK]")[0], pattern=self.decoder_pattern)

    def patterned(self, slots: Slots) -> "Fact":
        return replace(self, text=self.pattern, slots=slots)

    def fits(self, example: Example, encoder: Encoder) -> bool:
        ids = encoder.pieces(example[self.target], spaced=True)
        known = len(ids) == 1 and ids != [encoder.unknown]
        return known and (not self.vocabulary or ids[0] in self.allowed)

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        encoded = encoder.lay_out(template, {name: example[name] for name in template.fields})
        if encoded.answer < 0:
            encoded.answer = len(encoded.ids) - 1
        return Features(encoded, encoder.pieces(example[self.target], spaced=True)[0])

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: "a"}

    def reference(self, example: Example) -> str:
        answer = example[self.target]
        if not isinstance(answer, str) or not answer.strip():
            raise DataError(f"'{self.target}' is {answer!r}, not a word")
        return answer if self.encoder is None else self._word(self.encoder.pieces(answer, True))

    def _word(self, ids: list[int]) -> str:
        assert self.encoder is not None
        return self.encoder.tokenizer.decode(ids).strip()  # pyright: ignore[reportAttributeAccessIssue]

    def head(self, backbone: Backbone) -> Head:
        return VerbalizerHead(backbone, list(range(backbone.words.num_embeddings)))

    def predict(self, logits: Tensor, batch: Batch) -> list[str]:
        if self.vocabulary:
            wrong = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
            wrong[sorted(self.allowed)] = False
            logits = logits.masked_fill(wrong, -torch.inf)
        return [self._word([found]) for found in logits.argmax(-1).tolist()]

    def constant(self, references: list[Any]) -> list[str]:
        return [Counter(references).most_common(1)[0][0]] * len(references)
