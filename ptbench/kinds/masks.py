"""Answers of several pieces, which the LM head expects at masks in a row.

COPA and WSC as the few-shot code of P-tuning v1 answers them (Liu et al. 2021).
"""

import random
import re
import string
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ptbench.backbones import Backbone
from ptbench.data import Row
from ptbench.errors import ConfigError
from ptbench.filling import at, fill, without
from ptbench.inputs import IGNORE, Batch, Inputs
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.choice import Choice
from ptbench.kinds.classification import Classification
from ptbench.kinds.heads import Head
from ptbench.patterns import Slots, Template
from ptbench.templates import Encoded, Encoder

SPARE = "spare_masks"  # the column that says how many masks a row has more than pieces
MOST_SPARE, SEED = 3, 42


class MasksHead(Head):
    """The LM head's logits at the masks of each row; ConfigError where it fills none."""

    name = "LM head"

    def __init__(self, backbone: Backbone):
        if not backbone.fills_masks:
            raise ConfigError(
                "task.masks=true: this backbone has no LM head that fills masks; choose a masked "
                "language model (`ptbench list model`), or set task.masks=false"
            )
        super().__init__(backbone.lm_head)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "rows masks words"]:
        assert self.pretrained is not None
        return self.pretrained(at(hidden, places(batch)))


class Filling(Kind, ABC):
    """A kind whose rows hold masks for all pieces of its longest answer, from `answer` on."""

    writes: ClassVar[bool] = True

    def collate(self, features: Sequence[Features], encoder: Encoder) -> Batch:
        each = [torch.tensor(ids) for f in features for ids in f.pieces]
        pieces = pad_sequence(each, True, IGNORE).unflatten(0, (len(features), -1))
        return replace(super().collate(features, encoder), pieces=pieces)

    def head(self, backbone: Backbone) -> Head:
        return MasksHead(backbone)

    def predict(self, logits: Tensor, batch: Batch) -> list[Any]:
        raise NotImplementedError("masks are filled one by one")


class Form(Kind, ABC):
    """Another form of a kind with the same fields."""

    @classmethod
    def of(cls, kind: Kind, **changes: Any) -> Any:
        """The kind in this form, with some fields changed."""
        return cls(**vars(kind) | changes)


@dataclass(frozen=True)
class MaskedChoice(Form, Choice):
    """A choice that its pattern answers by the pieces of the choice; `choices` hold a text each."""

    def patterned(self, slots: Slots) -> Choice:
        return FilledChoice.of(self, text=self.pattern, slots=slots)


@dataclass(frozen=True)
class FilledChoice(Filling, MaskedChoice):
    """The choice whose pieces are the likelier at as many masks.

    Fields lose their final punctuation, and choices begin in lower case.
    """

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        texts = {name: example[name].rstrip(string.punctuation) for name in template.fields}
        texts |= {name: texts[name][:1].lower() + texts[name][1:] for name in self.choices}
        pieces = tuple(encoder.word(texts[name]) for name in self.choices)
        encoded = _laid_out(encoder, template, texts, max(map(len, pieces)))
        return Features(encoded, self.right(example), pieces=pieces)

    def loss(self, logits: Float[Tensor, "rows masks words"], batch: Batch) -> Tensor:
        """Sum of the hinges: 1 + the right choice's cross-entropy - a wrong one's, at least 0.

        A choice's is the mean over its pieces. (The code takes the means over a batch's pieces, and
        one hinge of these.)
        """
        assert batch.pieces is not None
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
        scores = scores[:, None].expand(-1, batch.pieces.shape[1], -1, -1).flatten(0, 2)
        each = F.cross_entropy(
            scores, batch.pieces.flatten(), ignore_index=IGNORE, reduction="none"
        ).view_as(batch.pieces)
        costs = each.sum(-1) / (batch.pieces != IGNORE).sum(-1)
        hinges = (1 + costs.gather(1, batch.targets) - costs).clamp(min=0)
        return hinges.scatter(1, batch.targets, 0.0).sum()

    def odds(
        self, backbone: Backbone, inputs: Inputs, batch: Batch
    ) -> Float[Tensor, "rows answers"]:
        """The sums of the log probabilities of each choice's pieces, filled into its own masks."""
        assert batch.pieces is not None
        scores = []
        for wanted in batch.pieces.unbind(1):
            asked = wanted != IGNORE
            surplus = (batch.pieces != IGNORE).any(1) & ~asked
            read = without(inputs, places(batch), surplus)
            scores.append(fill(backbone, read, places(batch), asked, wanted)[1])
        return torch.stack(scores, 1)

    def write(self, backbone: Backbone, inputs: Inputs, batch: Batch) -> list[int]:
        return self.odds(backbone, inputs, batch).argmax(1).tolist()


@dataclass(frozen=True)
class MaskedNoun(Form, Classification):
    """Whether a pronoun means a noun, which its pattern answers by the noun's own pieces.

    `noun` is the column that holds it; the second label says yes. Trained on are the examples with
    that label, with 0 to 3 masks more than the noun has pieces; those answered have 1 more.
    """

    noun: str = ""

    def for_training(self, rows: list[Row]) -> list[Row]:
        draw = random.Random(SEED)
        meant = [row for row in rows if self.reference(row) == 1]
        return [{**row, SPARE: draw.randint(0, MOST_SPARE)} for row in meant]

    def for_evaluation(self, rows: list[Row]) -> list[Row]:
        return [{**row, SPARE: 1} for row in rows]

    def patterned(self, slots: Slots) -> Classification:
        return FilledNoun.of(self, text=self.pattern, slots=slots)


@dataclass(frozen=True)
class FilledNoun(Filling, MaskedNoun):
    """Whether what fills the masks names the noun; masks to spare are filled by padding."""

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        spare = example.get(SPARE, 1)
        pieces = [*encoder.word(example[self.noun]), *[encoder.pad] * spare]
        texts = {name: example[name] for name in template.fields}
        encoded = _laid_out(encoder, template, texts, len(pieces))
        return Features(encoded, pieces, pieces=(pieces,))

    def write(self, backbone: Backbone, inputs: Inputs, batch: Batch) -> list[int]:
        asked = batch.targets != IGNORE
        found, _ = fill(backbone, inputs, places(batch), asked)

        def texts(ids: Tensor) -> list[str]:
            pairs = zip(ids, asked, strict=True)
            return backbone.tokenizer.batch_decode(
                [row[there].tolist() for row, there in pairs], skip_special_tokens=True
            )

        pairs = zip(texts(found), texts(batch.targets), strict=True)
        return [int(names(*pair)) for pair in pairs]


def names(text: str, noun: str) -> bool:
    """Whether all words of one are words of the other; words are of the letters a to z."""
    one, other = (set(re.findall("[a-z]+", words.lower())) for words in (text, noun))
    return one <= other or other <= one


def places(batch: Batch) -> Int[Tensor, "rows masks"]:
    """Where the masks of each row stand; those that a row has not, at its last places."""
    assert batch.pieces is not None
    numbers = torch.arange(batch.pieces.shape[-1], device=batch.answer.device)
    return (batch.answer[:, None] + numbers).clamp(max=batch.ids.shape[1] - 1)


def _laid_out(encoder: Encoder, template: Template, texts: dict[str, str], masks: int) -> Encoded:
    """A row with so many masks in place of one; it answers from the first of them on."""
    segments = tuple(
        tuple(part for part in s for _ in range(masks if part.role == "mask" else 1))
        for s in template.segments
    )
    encoded = encoder.lay_out(replace(template, segments=segments), texts)
    encoded.answer -= masks - 1
    return encoded
