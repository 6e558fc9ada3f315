"""The one place where prompt keys and values enter attention.

A function in transformers' attention registry puts them in front of the text's own keys and
values. This needs no cache, so it works for encoders, under gradient checkpointing, and with a
different prefix in every row. Positions are not its business: they are explicit in `Inputs`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ptbench import disentangled
from ptbench.attention_masks import added, extended, unread
from ptbench.dropout import quick_attention
from ptbench.errors import BackboneError, ConfigError, did_you_mean
from ptbench.inputs import KeyValue

# without "sdpa" in the name, by which transformers turns DeBERTa away
NAMES = {"sdpa": "ptbench_fused", "eager": "ptbench_eager"}
# why others of transformers' are not among them, by how their names begin
UNFIT = {
    "flash": "flash attention takes no mask but that of padding, and prompts need one of their own",
    "flex": "flex attention has no attention dropout and, on CPUs, no backward pass",
}
FAMILIES = (
    "BERT, RoBERTa, XLM-R, ELECTRA, ALBERT, DistilBERT, ModernBERT, DeBERTa, DeBERTa-v2, GPT-2, "
    "Llama, Qwen3, Gemma 3, GLM-4, BART, T5"
)
HOOK = "_ptbench_hook"


class Site(StrEnum):
    """Where in a model an attention stands; a model of one stack has `self` alone."""

    self = "self"
    encoder = "encoder"
    decoder = "decoder"
    cross = "cross"


@dataclass(frozen=True)
class Call:
    """One attention call of a forward pass: its place, and what keys and values it takes."""

    site: Site
    layer: int
    heads: int
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of a key or value: its heads, and the numbers of each."""
        return self.heads, self.size


@dataclass
class Injection:
    """The attention calls of one backbone, site after site, and the prefix that they see now.

    Where layers are recomputed, that of the last pass stays until the next.
    """

    calls: list[Call] = field(default_factory=list)
    prefix: tuple[KeyValue | None, ...] = ()


@dataclass
class Hook:
    """What an attention module must know: its calls' numbers among those of the injection.

    A module that several layers share is called several times a pass, each number in turn.
    """

    injection: Injection
    numbers: tuple[int, ...]
    turn: int = 0

    def prefix(self) -> KeyValue | None:
        """The prefix of the call that begins now."""
        if not self.injection.prefix:
            return None
        number = self.numbers[self.turn]
        # back at 0 after a pass: a number that grew would have torch compile each pass anew
        self.turn = (self.turn + 1) % len(self.numbers)
        return self.injection.prefix[number]


def prefix_of(module: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> KeyValue | None:
    """The prefix that this attention call takes, one row for each of the query's.

    Beam search repeats the rows of a batch, each in place, and so are the prefix's.
    """
    if _seen is not None:
        _seen.append(Seen(module, query.shape[2], key, value))
    hook: Hook | None = module.__dict__.get(HOOK)
    prefix = None if hook is None else hook.prefix()
    return None if prefix is None else prefix.repeated(query.shape[0] // prefix.key.shape[0])


def _attend(base: Callable[[nn.Module], Callable[..., Any]], additive: bool) -> Callable[..., Any]:
    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **rest: Any
    ) -> Any:
        prefix = prefix_of(module, query, key, value)
        if prefix is not None:
            given = mask
            mask = extended(module, query, key, mask, prefix, rest)
            if additive and given is None and mask is not None:
                mask = added(mask, query.dtype)
            if rest.get("position_bias") is not None:  # T5's: none towards the prefix
                rest["position_bias"] = F.pad(rest["position_bias"], (prefix.key.shape[2], 0))
            key, value = prefix.before(key, value)
        with quick_attention(query, rest.get("dropout", 0.0)):
            return base(module)(module, query, key, value, mask, **rest)

    return attend


def _eager(module: nn.Module) -> Callable[..., Any]:
    """Each architecture's file has an eager function of its own."""
    return sys.modules[type(module).__module__].eager_attention_forward


AttentionInterface.register(
    NAMES["sdpa"], _attend(lambda module: ALL_ATTENTION_FUNCTIONS["sdpa"], additive=False)
)
AttentionInterface.register(NAMES["eager"], _attend(_eager, additive=True))
AttentionMaskInterface.register(NAMES["sdpa"], unread(sdpa_mask))
AttentionMaskInterface.register(NAMES["eager"], unread(eager_mask))


def check_name(attention: str) -> None:
    """Raises ConfigError for an attention that prompt keys and values cannot enter, saying why."""
    if attention in NAMES:
        return
    reasons = (why for beginning, why in UNFIT.items() if attention.startswith(beginning))
    why = next(reasons, f"no such attention; {did_you_mean(attention, NAMES)}")
    raise ConfigError(f"model.attention={attention}: {why}; set model.attention=sdpa")


@dataclass(frozen=True)
class Seen:
    """An attention call as a pass made it: its module, how many queries, its keys and values."""

    module: nn.Module
    queries: int
    key: Tensor
    value: Tensor


_seen: list[Seen] | None = None


@torch.no_grad()
def watched(model: PreTrainedModel, **embeds: Tensor) -> list[Seen]:
    """The attention calls of a pass over `embeds` in evaluation mode, in order."""
    global _seen
    _seen, training = [], model.training
    try:
        model.eval()(**embeds)
        return _seen
    finally:
        model.train(training)
        _seen = None


def inject(model: PreTrainedModel, width: int) -> Injection:
    """Finds the attention calls of `model` by one pass over two tokens and opens them to prefixes.

    Raises BackboneError where attention can be reached in no way, as a prefix would be ignored
    silently.
    """
    disentangled.open_to_prefixes(model, prefix_of)
    tokens = torch.zeros(1, 2, width, dtype=model.dtype, device=model.device)
    both = {"decoder_inputs_embeds": tokens[:, :1]} if model.config.is_encoder_decoder else {}
    seen = watched(model, inputs_embeds=tokens, **both)
    if not seen:
        raise BackboneError(
            f"architecture '{model.config.model_type}': prompt keys and values cannot enter its "
            f"attention, which is not in transformers' registry; supported are {FAMILIES}"
        )
    injection = Injection()
    numbers: dict[nn.Module, list[int]] = {}
    sites = [_site(call.queries, call.key.shape[2], bool(both)) for call in seen]
    for site in Site:
        found = [call for call, where in zip(seen, sites, strict=True) if where is site]
        for layer, call in enumerate(found):
            numbers.setdefault(call.module, []).append(len(injection.calls))
            _, heads, _, size = call.key.shape
            injection.calls.append(Call(site, layer, heads, size))
    for module, calls in numbers.items():
        module.__dict__[HOOK] = Hook(injection, tuple(calls))
    return injection


def _site(queries: int, keys: int, two_stacks: bool) -> Site:
    """Told by the probe's lengths: two tokens in the encoder, one in the decoder."""
    if not two_stacks:
        return Site.self
    if queries != keys:
        return Site.cross
    return Site.encoder if queries == 2 else Site.decoder


def chosen(calls: Sequence[Call], layers: Sequence[int] | None) -> list[int]:
    """The numbers of the calls in the chosen layers, counted from 0 at each site; null: all."""
    last = max(call.layer for call in calls)
    if wrong := [layer for layer in layers or () if not 0 <= layer <= last]:
        raise BackboneError(f"method.layers names {wrong}, but the backbone has layers 0 to {last}")
    return [i for i, call in enumerate(calls) if layers is None or call.layer in layers]
