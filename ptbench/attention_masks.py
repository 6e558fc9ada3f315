"""Which keys each query sees, where a prefix stands in front of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ptbench.inputs import KeyValue


def added(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of what is seen as one that is added to the scores."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)


def extended(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    prefix: KeyValue,
    rest: dict[str, Any],
) -> Tensor | None:
    """The text's mask with the prefix's columns in front; None while everything is visible."""
    causal = rest.pop("is_causal", None)
    causal = getattr(module, "is_causal", False) if causal is None else causal
    rest["is_causal"] = False
    rows, queries, texts = query.shape[0], query.shape[2], key.shape[2]
    if mask is None:
        if prefix.mask is None and not (causal and queries > 1):
            return None
        # stock attention aligns its implicit causal mask to the left: wrong behind a prefix
        visible = torch.ones(queries, texts, dtype=torch.bool, device=query.device)
        mask = (visible.tril(texts - queries) if causal else visible)[None, None]
    mask = mask.expand(rows, *mask.shape[1:])
    seen = prefix.seen(queries)[:, None].expand(*mask.shape[:3], -1)
    if mask.dtype != torch.bool:
        seen = added(seen, mask.dtype)
    return torch.cat([seen, mask], -1)


def unread(base: Callable[..., Any]) -> Callable[..., Any]:
    """Masks without the look at whether they could be left out, for which a pass awaits a GPU."""

    def mask(*, attention_mask: Tensor | None = None, **rest: Any) -> Any:
        if attention_mask is not None and attention_mask.is_cuda:
            rest |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
        return base(attention_mask=attention_mask, **rest)

    return mask
