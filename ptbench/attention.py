"""The one place where prompt keys and values enter attention.

A function in transformers' attention registry puts them in front of the text's own keys and
values. This needs no cache, so it works for encoders, under gradient checkpointing, and with a
different prefix in every row. Positions are not its business: they are explicit in `Inputs`.
"""

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ptbench.errors import BackboneError
from ptbench.inputs import KeyValue

NAMES = {"sdpa": "ptbench_sdpa", "eager": "ptbench_eager"}
SITE = "_ptbench_site"


@dataclass(frozen=True)
class Call:
    """One attention call of a forward pass: what keys and values it takes."""

    heads: int
    size: int


@dataclass
class Site:
    """What an attention module must know: its calls' numbers, and the prefix of this pass.

    A module that several layers share is called several times a pass, hence the cycle.
    """

    injection: "Injection"
    numbers: Iterator[int]


@dataclass
class Injection:
    """The attention calls of one backbone, in order, and the prefix that they see now.

    The prefix of the last pass stays until the next, since checkpointing recomputes from it.
    """

    calls: list[Call] = field(default_factory=list)
    prefix: tuple[KeyValue | None, ...] = ()


def _attend(base: Callable[[nn.Module], Callable[..., Any]]) -> Callable[..., Any]:
    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **rest: Any
    ) -> Any:
        if _recorded is not None:
            _recorded.append((module, Call(key.shape[1], key.shape[3])))
        site: Site | None = module.__dict__.get(SITE)
        if site is not None and site.injection.prefix:
            prefix = site.injection.prefix[next(site.numbers)]
            if prefix is not None:
                mask = _extended_mask(module, query, key, mask, prefix, rest)
                key = torch.cat([prefix.key.to(key.dtype), key], 2)
                value = torch.cat([prefix.value.to(value.dtype), value], 2)
        return base(module)(module, query, key, value, mask, **rest)

    return attend


def _extended_mask(
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
    seen = prefix.mask
    if seen is None:
        seen = torch.ones(rows, prefix.key.shape[2], dtype=torch.bool, device=query.device)
    seen = seen[:, None, None].expand(*mask.shape[:3], -1)
    if mask.dtype != torch.bool:
        seen = torch.zeros_like(seen, dtype=mask.dtype).masked_fill(
            ~seen, torch.finfo(mask.dtype).min
        )
    return torch.cat([seen, mask], -1)


def _eager(module: nn.Module) -> Callable[..., Any]:
    """Each architecture's file has an eager function of its own."""
    return sys.modules[type(module).__module__].eager_attention_forward


AttentionInterface.register(NAMES["sdpa"], _attend(lambda module: ALL_ATTENTION_FUNCTIONS["sdpa"]))
AttentionInterface.register(NAMES["eager"], _attend(_eager))
AttentionMaskInterface.register(NAMES["sdpa"], sdpa_mask)
AttentionMaskInterface.register(NAMES["eager"], eager_mask)

_recorded: list[tuple[nn.Module, Call]] | None = None


@contextmanager
def _recording() -> Iterator[list[tuple[nn.Module, Call]]]:
    global _recorded
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None


def inject(model: PreTrainedModel, width: int) -> Injection:
    """Finds the attention calls of `model` by one pass over one token and opens them to prefixes.

    Raises BackboneError where attention does not go through the registry, as a prefix would be
    ignored silently.
    """
    token = torch.zeros(1, 1, width, dtype=model.dtype, device=model.device)
    training = model.training
    with _recording() as recorded, torch.no_grad():
        model.eval()(inputs_embeds=token)
        model.train(training)
    if not recorded:
        raise BackboneError(
            f"architecture '{model.config.model_type}' does not use transformers' attention "
            "registry, so prompt keys and values cannot enter it; use a BERT, RoBERTa, ELECTRA or "
            "DistilBERT encoder"
        )
    injection = Injection([call for _, call in recorded])
    numbers: dict[nn.Module, list[int]] = {}
    for number, (module, _) in enumerate(recorded):
        numbers.setdefault(module, []).append(number)
    for module, calls in numbers.items():
        module.__dict__[SITE] = Site(injection, itertools.cycle(calls))
    return injection


def check_layers(layers: Sequence[int] | None, calls: int) -> tuple[int, ...]:
    """The chosen layers, counted from 0; all where none are named."""
    chosen = tuple(range(calls)) if layers is None else tuple(layers)
    if wrong := [layer for layer in chosen if not 0 <= layer < calls]:
        raise BackboneError(
            f"method.layers names {wrong}, but the backbone has layers 0 to {calls - 1}"
        )
    return chosen
