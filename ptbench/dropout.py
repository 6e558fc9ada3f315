"""Dropout as torch makes it, but on a CPU with less work and a quarter of its memory.

There torch draws each number by itself and keeps which stay as floats. One draw of 64 bits does for
four numbers here, which fixes the share to a 65536th, and which stay is kept in a byte. Attention
keeps no weights but these bytes; like FlashAttention (Dao et al. 2022, section 3.1) it goes by
blocks and computes the weights again in the backward pass.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.overrides import TorchFunctionMode

from ptbench.attention_masks import added

STEPS = 1 << 16  # of the share: what 16 bits tell apart
CACHED = 1 << 17  # attention weights of so many fit a processor's cache, which is quicker


def dropout(numbers: Tensor, share: float) -> Tensor:
    """Zeroes that share of the numbers at random and scales the others, so that the mean stays."""
    if not _quick(numbers, share):
        return F.dropout(numbers, share)
    return _Dropped.apply(numbers, round(share * STEPS))  # pyright: ignore[reportReturnType]


def staying(numbers: Tensor, share: float) -> tuple[Tensor, float]:
    """One in a byte for each number that dropout would leave, else zero; what it scales them by.

    It takes the draws that `dropout` of the numbers takes.
    """
    steps = round(share * STEPS)
    if _quick(numbers, share):
        return _staying(numbers, steps).to(torch.int8), STEPS / (STEPS - steps)
    left = F.dropout(torch.ones_like(numbers), share)
    return left.ne(0).to(torch.int8), 1 / (1 - share) if share < 1 else 0.0


def _quick(numbers: Tensor, share: float) -> bool:
    plain = numbers.device.type != "cpu" or torch.compiler.is_compiling()
    return not plain and 0 < round(share * STEPS) < STEPS


def _staying(numbers: Tensor, steps: int) -> Tensor:
    """One where a number stays, else zero: in its type, as torch is slow at making booleans."""
    count = numbers.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    halves = draws.view(torch.int16)[:count].view(numbers.shape)
    stays = torch.empty(numbers.shape, dtype=numbers.dtype)
    return torch.ge(halves, steps - STEPS // 2, out=stays)


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, numbers: Tensor, steps: int) -> Tensor:
        stays = _staying(numbers, steps)
        ctx.save_for_backward(stays.to(torch.int8))
        ctx.scale = STEPS / (STEPS - steps)
        return stays.mul_(numbers).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (stays,) = ctx.saved_tensors
        (gradient,) = gradients
        return stays.to(gradient.dtype).mul_(gradient).mul_(ctx.scale), None


class Dropout(nn.Dropout):
    """A module that does so in training."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p) if self.training else input


def quicken(model: nn.Module) -> None:
    """Has the dropout modules of a model do so."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout


def quick_attention(query: Tensor, share: float) -> AbstractContextManager[Any]:
    """Within it attention with that dropout does so too."""
    return _Attending() if _quick(query, share) else nullcontext()


class _Attending(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        attends = func is F.scaled_dot_product_attention
        return (_attention if attends else func)(*args, **(kwargs or {}))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `scaled_dot_product_attention` of the same arguments gives."""
    if enable_gqa:
        key, value = (
            part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value)
        )
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    if attn_mask is None:
        attn_mask = query.new_zeros(1, 1)
    elif attn_mask.dtype == torch.bool:
        attn_mask = added(attn_mask, query.dtype)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    mask = attn_mask.expand(*query.shape[:2], -1, -1)
    steps = round(dropout_p * STEPS)
    return _Attended.apply(query, key, value, mask, scale, steps)  # pyright: ignore[reportReturnType]


class _Attended(torch.autograd.Function):
    """Attention with its mask added, some rows at a time; what stays of a weight is scaled up."""

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float, steps: int
    ) -> Tensor:
        share = STEPS / (STEPS - steps)
        kept = torch.empty(*query.shape[:3], key.shape[2], dtype=torch.int8)
        found = value.new_empty(*query.shape[:3], value.shape[3])
        for rows in _blocks(kept):
            weights = _scores(query[rows] * scale, key[rows], mask[rows]).softmax(-1)
            stays = _staying(weights, steps)
            kept[rows] = stays
            found[rows] = stays.mul_(weights) @ (value[rows] * share)
        ctx.save_for_backward(query, key, value, mask, kept)
        ctx.scale, ctx.share = scale, share
        return found

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *given, kept = ctx.saved_tensors
        needed = zip(given, ctx.needs_input_grad, strict=False)
        found = [torch.empty_like(one) if needs else None for one, needs in needed]
        for rows in _blocks(kept):
            query, key, value, mask = (one[rows] for one in given)
            query, gradient = query * ctx.scale, gradients[0][rows] * ctx.share
            with torch.enable_grad():
                scores = _scores(query, key, mask).requires_grad_()
                weights = scores.softmax(-1)
            stays = kept[rows].to(weights.dtype)
            of_weights = (gradient @ value.mT).to(weights.dtype).mul_(stays)
            (of_scores,) = torch.autograd.grad(weights, scores, of_weights)
            of_query, of_key = (of_scores @ key).mul_(ctx.scale), of_scores.mT @ query
            of_value = stays.mul_(weights.detach()).mT @ gradient
            for whole, part in zip(found, (of_query, of_key, of_value, of_scores), strict=True):
                if whole is not None:
                    whole[rows] = part
        return *found, None, None


def _blocks(weights: Tensor) -> list[slice]:
    """Rows together: one at least."""
    rows = max(1, CACHED // weights[0].numel())
    return [slice(start, start + rows) for start in range(0, len(weights), rows)]


def _scores(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    return (query @ key.mT).add_(mask)
