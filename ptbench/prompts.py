"""Where a prompt enters: nowhere, at the word embeddings, or as keys and values of layers."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptbench.attention import Site, chosen
from ptbench.backbones import Backbone
from ptbench.dropout import Dropout, staying
from ptbench.encoders import Encoder
from ptbench.errors import BackboneError
from ptbench.inputs import Batch, Inputs, KeyValue
from ptbench.recompute import recomputes
from ptbench.words import keys_and_values


class Prompt(nn.Module):
    """Turns a batch into what enters the backbone; this one adds nothing.

    `words` are ids of real words, one for each place, from which the prompt starts; none of them
    leaves it as its encoder was drawn.
    """

    place = "-"

    def __init__(self, encoder: Encoder | None = None, words: Sequence[int] = ()):
        super().__init__()
        self.encoder, self.words = encoder, words

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        return backbone.inputs(batch)

    def start(self, backbone: Backbone) -> None:
        """Brings the encoder to what the backbone has for the real words; once, before training."""
        if self.encoder is not None and self.words:
            weights = next(self.encoder.parameters())
            ids = torch.tensor(self.words, device=backbone.words.weight.device)
            self.encoder.fit(self.real(backbone, ids).detach().to(weights))

    def real(self, backbone: Backbone, ids: Tensor) -> Tensor:
        """The rows that real words have at this prompt's place."""
        return backbone.words(ids)

    @property
    def shift(self) -> int:
        """By how much the text's positions move."""
        return 0

    @property
    def depth(self) -> int:
        """The lowest layer that sees it; what enters there does not hang on it."""
        return 0

    def fold(self) -> None:
        """Replaces the encoder by a table of the rows that it gives now."""
        if self.encoder is not None:
            self.encoder = self.encoder.folded()


class InputPrompt(Prompt):
    """Rows that replace the word embeddings of pseudo tokens, wherever these stand in the text.

    `embed_twice` repeats what the released P-tuning v2 code does for its prompt tuning baseline:
    the text passes the whole embedding block before the rows are set in, and again with them.
    """

    place = "word embeddings"

    encoder: Encoder

    def __init__(self, encoder: Encoder, embed_twice: bool = False, words: Sequence[int] = ()):
        super().__init__(encoder, words)
        self.embed_twice = embed_twice

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        inputs = backbone.inputs(batch)
        pseudo = batch.slots >= 0
        embeds, types = inputs.embeds, inputs.types
        if self.embed_twice:
            before = inputs.positions - pseudo.cumsum(1)
            embeds = backbone.embedded(embeds, types, before.clamp(min=0))
            types = torch.zeros_like(types)
        rows = F.embedding(batch.slots.clamp(min=0), self.encoder().to(embeds.dtype))
        embeds = torch.where(pseudo[..., None], rows, embeds)
        return replace(inputs, embeds=embeds, types=types)


class LayerPrompt(Prompt):
    """Keys and values in front of the text's own, in every chosen layer.

    The encoder's row p holds, layer after layer, the key and the value of place p (the layout of
    prefix-tuning and P-tuning v2); where the backbone has several sites, site after site. Dropout
    zeroes single numbers, for each example anew. `shifted` counts the text's positions from the
    prompt's length on, as a cached prefix does; it says nothing of encoder-decoders, which count
    their places themselves.
    """

    place = "keys and values of every layer"
    encoder: Encoder

    def __init__(
        self,
        backbone: Backbone,
        encoder: Encoder,
        dropout: float,
        shifted: bool,
        layers: Sequence[int] | None = None,
        words: Sequence[int] = (),
    ):
        super().__init__(encoder, words)
        calls = backbone.injection.calls
        self.dropout = Dropout(dropout)
        self.shifted = shifted and not backbone.two_stacks
        self.numbers = chosen(calls, layers)
        self.calls = [calls[number] for number in self.numbers]
        self.total = len(calls)
        if layers is not None:
            self.place = f"keys and values of layers {', '.join(map(str, layers))}"

    @staticmethod
    def widths(backbone: Backbone, layers: Sequence[int] | None = None) -> list[int]:
        """How many numbers a place needs at each site: a key and a value for each chosen layer."""
        widths: dict[Site, int] = {}
        calls = backbone.injection.calls
        for call in (calls[number] for number in chosen(calls, layers)):
            widths[call.site] = widths.get(call.site, 0) + 2 * call.heads * call.size
        return list(widths.values())

    @staticmethod
    def width(backbone: Backbone, layers: Sequence[int] | None = None) -> int:
        """How many numbers a place needs at all sites together."""
        return sum(LayerPrompt.widths(backbone, layers))

    @property
    def shift(self) -> int:
        return self.encoder.length if self.shifted else 0

    @property
    def depth(self) -> int:
        return min(call.layer for call in self.calls)

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        inputs = backbone.inputs(batch, self.shift)
        return replace(inputs, prefix=self.prefix(len(batch.ids), late=recomputes(backbone.model)))

    def real(self, backbone: Backbone, ids: Tensor) -> Tensor:
        every = keys_and_values(backbone, ids)
        pairs = [torch.stack([e.key[0], e.value[0]]) for e in (every[n] for n in self.numbers)]
        return torch.cat([pair.permute(2, 0, 1, 3).flatten(1) for pair in pairs], -1)

    def prefix(
        self, rows: int, mask: Tensor | None = None, late: bool = False
    ) -> tuple[KeyValue | None, ...]:
        """One entry per attention call of the backbone, None where the layer has no prompt.

        `late` leaves it to each layer to drop its part, which spares the memory of all layers' rows
        where these are recomputed.
        """
        numbers, stays = self.encoder()[None], repeat(None)
        if late and self.training and self.dropout.p:
            which, scale = staying(numbers.expand(rows, -1, -1), self.dropout.p)
            stays = [(*pair, scale) for pair in self._pairs(which)]
        else:
            numbers = self.dropout(numbers.expand(rows, -1, -1))
        prefix: list[KeyValue | None] = [None] * self.total
        for number, pair, stay in zip(self.numbers, self._pairs(numbers), stays, strict=False):
            key, value = (part.expand(rows, -1, -1, -1) for part in pair)
            prefix[number] = KeyValue(key, value, mask, stay)
        return tuple(prefix)

    def _pairs(self, numbers: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each call's key and value: at once, as each step of autograd costs."""
        alike = [
            (shape, len(list(calls))) for shape, calls in groupby(self.calls, attrgetter("shape"))
        ]
        parts = numbers.split([2 * many * heads * size for (heads, size), many in alike], dim=-1)
        halves: list[Tensor] = []  # key, value, key, ...
        for ((heads, size), many), part in zip(alike, parts, strict=True):
            rowwise = part.unflatten(-1, (2 * many, heads, size)).permute(2, 0, 3, 1, 4)
            halves += rowwise.unbind()
        return list(zip(halves[::2], halves[1::2], strict=True))


class InfixPrompt(LayerPrompt):
    """Keys and values between a source and the text written behind it, which alone sees them.

    Infix-tuning, [x; INFIX; y], after the paper (Li & Liang 2021, section 7.3): its authors' code
    adds to the infix the activations of trained virtual tokens that have read x. With `shifted`, y
    counts its positions on from the infix, and x from 0. Raises BackboneError for an
    encoder-decoder, whose stacks part x and y.
    """

    def __init__(self, backbone: Backbone, *arguments: Any, **settings: Any):
        super().__init__(backbone, *arguments, **settings)
        if any(call.site is not Site.self for call in backbone.injection.calls):
            raise BackboneError(
                f"architecture '{backbone.model.config.model_type}' reads and writes in two stacks,"
                " with no place between; set method.infix=false, or take a decoder"
            )
        self.place += ", between source and text"

    @property
    def depth(self) -> int:
        return 0  # where the text is counted from hangs on where it begins

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        inputs, behind = backbone.inputs(batch), batch.behind_source
        positions = inputs.positions + self.shift * behind
        mask = behind[..., None].expand(-1, -1, self.encoder.length)
        prefix = self.prefix(len(batch.ids), mask, recomputes(backbone.model))
        return replace(inputs, positions=positions, prefix=prefix)
