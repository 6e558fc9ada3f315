"""DeBERTa's attention with room for prompt keys and values: it is not in transformers' registry.

The content and position scores of the text stay transformers' own. The prefix's columns take the
content score at the same scale and no position score, as in the released P-tuning v2 code.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.deberta.modeling_deberta import DisentangledSelfAttention as First
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention as Second

from ptbench.inputs import KeyValue

PrefixOf = Callable[[nn.Module, Tensor, Tensor, Tensor], KeyValue | None]
Parts = tuple[Tensor, Tensor, Tensor, Tensor | None]  # scaled query, key, value, position scores


def open_to_prefixes(model: PreTrainedModel, prefix_of: PrefixOf) -> None:
    """Gives every disentangled attention of `model` a forward that takes prefixes."""
    for module in model.modules():
        for kind, parts in ((First, _first), (Second, _second)):
            if isinstance(module, kind):
                module.forward = MethodType(_forward(parts, prefix_of), module)


def _forward(parts: Callable[..., Parts], prefix_of: PrefixOf) -> Callable[..., Any]:
    def forward(
        module: Any,
        hidden: Tensor,
        mask: Tensor,
        output_attentions: bool = False,
        query_states: Tensor | None = None,
        relative_pos: Tensor | None = None,
        rel_embeddings: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        asking = hidden if query_states is None else query_states
        query, key, value, positional = parts(module, hidden, asking, relative_pos, rel_embeddings)
        prefix, mask = prefix_of(module, query, key, value), mask.bool()
        length = 0
        if prefix is not None:
            length = prefix.key.shape[2]
            key, value = prefix.before(key, value)
            seen = prefix.seen(mask.shape[2])[:, None]
            mask = torch.cat([seen, mask.expand(len(seen), *mask.shape[1:])], -1)
        scores = query @ key.transpose(-1, -2)
        if positional is not None:
            scores = scores + F.pad(positional, (length, 0))
        weights = _weights(module, scores, mask)
        return (weights @ value).transpose(1, 2).flatten(2), weights if output_attentions else None

    return forward


def _weights(module: Any, scores: Tensor, mask: Tensor) -> Tensor:
    before = getattr(module, "head_logits_proj", None)  # DeBERTa's optional talking heads
    after = getattr(module, "head_weights_proj", None)
    if before is not None:
        scores = before(scores.movedim(1, -1)).movedim(-1, 1)
    lowest = torch.finfo(scores.dtype).min
    weights = module.dropout(scores.masked_fill(~mask, lowest).softmax(-1))
    return weights if after is None else after(weights.movedim(1, -1)).movedim(-1, 1)


def _scale(size: int, terms: int, like: Tensor) -> Tensor:
    """Root of the head's size times the number of kinds of scores, in float32 as transformers."""
    return torch.sqrt(torch.tensor(size, dtype=torch.float) * terms).to(like)


def _first(
    module: Any, hidden: Tensor, asking: Tensor, relative: Tensor | None, table: Tensor | None
) -> Parts:
    query, key, value = module.transpose_for_scores(module.in_proj(hidden)).chunk(3, -1)
    if asking is not hidden:
        query = module.transpose_for_scores(module.in_proj(asking)).chunk(3, -1)[0]
    query = query + module.transpose_for_scores(module.q_bias[None, None])
    value = value + module.transpose_for_scores(module.v_bias[None, None])
    terms = 1 + len(module.pos_att_type)
    query = query / _scale(query.shape[-1], terms, query)
    if not module.relative_attention or table is None or relative is None:
        return query, key, value, None
    table = module.pos_dropout(table)
    return query, key, value, module.disentangled_att_bias(query, key, relative, table, terms)


def _second(
    module: Any, hidden: Tensor, asking: Tensor, relative: Tensor | None, table: Tensor | None
) -> Parts:
    heads = module.num_attention_heads
    query = module.transpose_for_scores(module.query_proj(asking), heads)
    key = module.transpose_for_scores(module.key_proj(hidden), heads)
    value = module.transpose_for_scores(module.value_proj(hidden), heads)
    terms = 1 + len({"c2p", "p2c"} & set(module.pos_att_type))
    positional = None
    if module.relative_attention:
        bias = module.disentangled_attention_bias(
            query, key, relative, module.pos_dropout(table), terms
        )
        positional = bias.unflatten(0, (-1, heads)) if isinstance(bias, Tensor) else None
    query = query / _scale(query.shape[-1], terms, query)
    split = [part.unflatten(0, (-1, heads)) for part in (query, key, value)]
    return split[0], split[1], split[2], positional
