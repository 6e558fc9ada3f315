"""What goes into a backbone, one row an example, so that rows of several prompts stack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptbench.templates import Encoded

IGNORE = -100


@dataclass(frozen=True)
class Batch:
    """Encoded examples of one task.

    `slots` holds the number of the pseudo token that stands at a place, -1 where text stands;
    `answer` the place that answers, -1 where there is none: the mask that a verbalizer reads, or
    what stands for "no answer" among spans. `written` holds the ids that the decoder of an
    encoder-decoder writes, None where it reads the text once more; `part` is the number of the
    data set, where a task is made of several: all rows are of one. `sizes` says how many rows each
    example has, one after the other; `characters` which of its field's a token covers, -1 where it
    covers none. `rows` are those it was made of, one after the other. `pieces` are the ids that
    each answer of a row has at its masks, IGNORE where it has fewer.
    """

    ids: Int[Tensor, "rows tokens"]
    mask: Bool[Tensor, "rows tokens"]
    types: Int[Tensor, "rows tokens"]
    slots: Int[Tensor, "rows tokens"]
    answer: Int[Tensor, " rows"]
    targets: Tensor
    written: Int[Tensor, "rows words"] | None = None
    part: int = 0
    sizes: tuple[int, ...] = ()
    characters: Int[Tensor, "rows tokens 2"] | None = None
    rows: tuple[Encoded, ...] = ()
    pieces: Int[Tensor, "rows answers masks"] | None = None

    @property
    def places(self) -> int:
        """The number of places in a row that have a hidden state."""
        return (self.ids if self.written is None else self.written).shape[1]

    @property
    def text(self) -> Bool[Tensor, "rows tokens"]:
        """The places that hold neither padding nor a pseudo token."""
        return self.mask & (self.slots < 0)

    @property
    def behind_source(self) -> Bool[Tensor, "rows tokens"]:
        """The places of what is written behind a source: from the first that is answered on."""
        return (self.targets != IGNORE).cumsum(1) > 0

    def at(self, places: Sequence[int]) -> "Batch":
        """Some rows, to be read; targets, sizes and pieces are those of all."""
        names = ("ids", "mask", "types", "slots", "answer")
        taken: dict[str, Any] = {name: getattr(self, name)[list(places)] for name in names}
        rows = tuple(self.rows[place] for place in places)
        return replace(self, **taken, rows=rows, characters=None)

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """As a loader asks for it, so that copies to a GPU need no waiting."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed: dict[str, Any] = {
            f.name: change(value)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **changed)


@dataclass(frozen=True)
class KeyValue:
    """Prompt keys and values of one attention call.

    `mask` says which of them a row sees, or each query of a row; None: all. `staying` holds what
    of keys and values dropout leaves, a byte each, and its scale, where the layer itself is to let
    the rest fall.
    """

    key: Float[Tensor, "rows heads length size"]
    value: Float[Tensor, "rows heads length size"]
    mask: Bool[Tensor, "rows length"] | Bool[Tensor, "rows queries length"] | None = None
    staying: tuple[Tensor, Tensor, float] | None = None

    @property
    def queries(self) -> int:
        """How many queries of a row the mask tells apart."""
        return self.mask.shape[1] if self.mask is not None and self.mask.ndim == 3 else 1

    def seen(self, queries: int) -> Bool[Tensor, "rows queries length"]:
        """What each query of a pass sees.

        Those behind the mask's queries see what its last one does; a pass of fewer goes on behind
        them, as generation with a cache does.
        """
        rows, _, length, _ = self.key.shape
        if self.mask is None:
            whole = torch.ones(1, 1, 1, dtype=torch.bool, device=self.key.device)
            return whole.expand(rows, queries, length)
        mask = self.mask if self.mask.ndim == 3 else self.mask[:, None]
        last = mask[:, -1:]
        mask = mask if mask.shape[1] <= queries else last
        return torch.cat([mask, last.expand(-1, queries - mask.shape[1], -1)], 1)

    def before(
        self, key: Float[Tensor, "rows heads tokens size"], value: Tensor
    ) -> tuple[Float[Tensor, "rows heads places size"], Tensor]:
        """The text's keys and values with the prompt's in front of them."""
        prompt = self.dropped()
        pairs = ((prompt.key, key), (prompt.value, value))
        front, behind = (_Joined.apply(one.to(other.dtype), other) for one, other in pairs)
        return front, behind  # pyright: ignore[reportReturnType]

    def dropped(self) -> "KeyValue":
        """With nothing left to fall."""
        if self.staying is None:
            return self
        key, value, scale = self.staying
        return KeyValue(self.key * key * scale, self.value * value * scale, self.mask)

    def repeated(self, times: int) -> "KeyValue":
        """Each row `times` times in place."""
        if times == 1:
            return self
        whole = self.dropped()
        tensors = [whole.key, whole.value, whole.mask]
        return KeyValue(*(None if t is None else t.repeat_interleave(times, 0) for t in tensors))  # pyright: ignore[reportArgumentType]


class _Joined(torch.autograd.Function):
    """Concatenation whose prompt's gradient does not hold on to the text's until the pass ends."""

    @staticmethod
    def forward(ctx: Any, prompt: Tensor, text: Tensor) -> Tensor:
        ctx.length = prompt.shape[2]
        return torch.cat([prompt, text], 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (whole,) = gradients
        return whole[:, :, : ctx.length].clone(), whole[:, :, ctx.length :]


@dataclass(frozen=True)
class Inputs:
    """What enters a backbone.

    `prefix` has one entry per attention call, in the order of calls; `written` is what the decoder
    of an encoder-decoder writes, None where that is the text. `states` are those that enter layer
    `depth`, where all below it is known.
    """

    embeds: Float[Tensor, "rows tokens width"]
    mask: Bool[Tensor, "rows tokens"]
    types: Int[Tensor, "rows tokens"]
    positions: Int[Tensor, "rows tokens"]
    prefix: tuple[KeyValue | None, ...] = ()
    written: Float[Tensor, "rows words width"] | None = None
    states: Float[Tensor, "rows tokens hidden"] | None = None
    depth: int = 0


def stack(inputs: Sequence[Inputs]) -> Inputs:
    """The rows of several prompts as one; padding and absent prefixes are masked, so inert."""
    if len(inputs) == 1:
        return inputs[0]
    rows = [i.mask.shape[0] for i in inputs]

    def padded(name: str) -> Tensor:
        tensors = [getattr(i, name) for i in inputs]
        places = max(t.shape[1] for t in tensors)
        tail = (0, 0) if tensors[0].ndim == 3 else ()
        return torch.cat([F.pad(t, (*tail, 0, places - t.shape[1])) for t in tensors])

    calls = max(len(i.prefix) for i in inputs)
    columns = [i.prefix or (None,) * calls for i in inputs]
    prefix = tuple(
        _stack_prefix([column[call] for column in columns], rows) for call in range(calls)
    )
    written = None if inputs[0].written is None else padded("written")
    embeds, mask, types, positions = map(padded, ("embeds", "mask", "types", "positions"))
    return Inputs(embeds, mask, types, positions, prefix, written)


def _stack_prefix(parts: Sequence[KeyValue | None], rows: Sequence[int]) -> KeyValue | None:
    parts = [None if part is None else part.dropped() for part in parts]
    present = [part for part in parts if part is not None]
    if not present:
        return None
    length = max(part.key.shape[2] for part in present)
    if len(present) == len(parts) and all(
        part.mask is None and part.key.shape[2] == length for part in present
    ):  # all see all of it, for which attention needs no mask
        keys, values = [part.key for part in present], [part.value for part in present]
        return KeyValue(torch.cat(keys), torch.cat(values))
    queries = max(part.queries for part in present)
    absent = present[0].key.new_zeros(1, *present[0].key.shape[1:])
    keys, values, masks = [], [], []
    for part, count in zip(parts, rows, strict=True):
        if part is None:
            nothing = absent.expand(count, -1, -1, -1)
            seen = torch.zeros(count, absent.shape[2], dtype=torch.bool, device=absent.device)
            part = KeyValue(nothing, nothing, seen)
        missing = length - part.key.shape[2]
        keys.append(F.pad(part.key, (0, 0, 0, missing)))
        values.append(F.pad(part.value, (0, 0, 0, missing)))
        masks.append(F.pad(part.seen(queries), (0, missing)))
    return KeyValue(torch.cat(keys), torch.cat(values), torch.cat(masks))
