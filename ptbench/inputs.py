"""What goes into a backbone, one row an example, so that rows of several prompts stack."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORE = -100


@dataclass(frozen=True)
class Batch:
    """Encoded examples of one task.

    `slots` holds the number of the pseudo token that stands at a place, -1 where text stands;
    `answer` the place that answers, -1 where there is none: the mask that a verbalizer reads, or
    what stands for "no answer" among spans. `sizes` says how many rows each example has, one after
    the other; `characters` which of its field's a token covers, -1 where it covers none.
    """

    ids: Int[Tensor, "rows tokens"]
    mask: Bool[Tensor, "rows tokens"]
    types: Int[Tensor, "rows tokens"]
    slots: Int[Tensor, "rows tokens"]
    answer: Int[Tensor, " rows"]
    targets: Tensor
    sizes: tuple[int, ...] = ()
    characters: Int[Tensor, "rows tokens 2"] | None = None

    @property
    def text(self) -> Bool[Tensor, "rows tokens"]:
        """The places that hold neither padding nor a pseudo token."""
        return self.mask & (self.slots < 0)

    def to(self, device: torch.device) -> "Batch":
        moved: dict[str, Any] = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class KeyValue:
    """Prompt keys and values of one attention call; `mask` says which a row sees, None all."""

    key: Float[Tensor, "rows heads length size"]
    value: Float[Tensor, "rows heads length size"]
    mask: Bool[Tensor, "rows length"] | None = None

    def seen(self) -> Bool[Tensor, "rows length"]:
        """The mask, whole where there is none."""
        rows, _, length, _ = self.key.shape
        whole = torch.ones(rows, length, dtype=torch.bool, device=self.key.device)
        return whole if self.mask is None else self.mask

    def repeated(self, times: int) -> "KeyValue":
        """Each row `times` times in place."""
        if times == 1:
            return self
        tensors = [self.key, self.value, self.mask]
        return KeyValue(*(None if t is None else t.repeat_interleave(times, 0) for t in tensors))  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Inputs:
    """What enters a backbone; `prefix` has one entry per attention call, in the order of calls."""

    embeds: Float[Tensor, "rows tokens width"]
    mask: Bool[Tensor, "rows tokens"]
    types: Int[Tensor, "rows tokens"]
    positions: Int[Tensor, "rows tokens"]
    prefix: tuple[KeyValue | None, ...] = ()


def stack(inputs: Sequence[Inputs]) -> Inputs:
    """The rows of several prompts as one; padding and absent prefixes are masked, so inert."""
    if len(inputs) == 1:
        return inputs[0]
    tokens = max(i.mask.shape[1] for i in inputs)
    rows = [i.mask.shape[0] for i in inputs]

    def padded(name: str) -> Tensor:
        tensors = [getattr(i, name) for i in inputs]
        tail = (0, 0) if tensors[0].ndim == 3 else ()
        return torch.cat([F.pad(t, (*tail, 0, tokens - t.shape[1])) for t in tensors])

    calls = max(len(i.prefix) for i in inputs)
    columns = [i.prefix or (None,) * calls for i in inputs]
    prefix = tuple(
        _stack_prefix([column[call] for column in columns], rows) for call in range(calls)
    )
    return Inputs(*(padded(n) for n in ("embeds", "mask", "types", "positions")), prefix=prefix)


def _stack_prefix(parts: Sequence[KeyValue | None], rows: Sequence[int]) -> KeyValue | None:
    present = [part for part in parts if part is not None]
    if not present:
        return None
    length = max(part.key.shape[2] for part in present)
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
        masks.append(F.pad(part.seen(), (0, missing)))
    return KeyValue(torch.cat(keys), torch.cat(values), torch.cat(masks))
