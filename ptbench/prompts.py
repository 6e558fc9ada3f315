"""Where a prompt enters: nowhere, at the word embeddings, or as keys and values of layers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptbench.attention import Site, chosen
from ptbench.backbones import Backbone
from ptbench.encoders import Encoder
from ptbench.inputs import Batch, Inputs, KeyValue


class Prompt(nn.Module):
    """Turns a batch into what enters the backbone; this one adds nothing."""

    place = "-"

    def __init__(self, encoder: Encoder | None = None):
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        return backbone.inputs(batch)

    @property
    def shift(self) -> int:
        """By how much the text's positions move."""
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

    def __init__(self, encoder: Encoder, embed_twice: bool = False):
        super().__init__(encoder)
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
    ):
        super().__init__(encoder)
        calls = backbone.injection.calls
        self.dropout = nn.Dropout(dropout)
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

    def forward(self, batch: Batch, backbone: Backbone) -> Inputs:
        inputs = backbone.inputs(batch, self.shift)
        return replace(inputs, prefix=self.prefix(len(batch.ids)))

    def prefix(self, rows: int) -> tuple[KeyValue | None, ...]:
        """One entry per attention call of the backbone, None where the layer has no prompt."""
        numbers = self.dropout(self.encoder().expand(rows, -1, -1))
        parts = numbers.split([2 * call.heads * call.size for call in self.calls], dim=-1)
        prefix: list[KeyValue | None] = [None] * self.total
        for number, call, part in zip(self.numbers, self.calls, parts, strict=True):
            both: Tensor = part.unflatten(-1, (2, call.heads, call.size)).permute(2, 0, 3, 1, 4)
            prefix[number] = KeyValue(both[0], both[1])
        return tuple(prefix)
