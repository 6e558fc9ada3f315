"""Masks of a row that the LM head fills one by one, reading what it has filled in."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.inputs import Inputs


@torch.no_grad()
def fill(
    backbone: Backbone,
    inputs: Inputs,
    places: Int[Tensor, "rows masks"],
    asked: Bool[Tensor, "rows masks"],
    wanted: Int[Tensor, "rows masks"] | None = None,
) -> tuple[Int[Tensor, "rows masks"], Float[Tensor, " rows"]]:
    """Fills the masks that are asked, one a pass: the surest of those left.

    A mask is filled with the id that is `wanted` there, else with the likeliest. Given are the ids,
    and the sum of the log probabilities that they had when they were filled in.
    """
    rows = torch.arange(len(places), device=places.device)
    found, left = torch.zeros_like(places), asked.clone()
    embeds, total = inputs.embeds.clone(), torch.zeros(len(places), device=places.device)
    for _ in range(int(asked.sum(1).max())):
        hidden = backbone(replace(inputs, embeds=embeds))
        logits = backbone.lm_head(at(hidden, places))
        odds = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        if wanted is None:
            sure, ids = odds.max(-1)
        else:
            ids = wanted.clamp(min=0)
            sure = odds.gather(-1, ids[..., None])[..., 0]
        most, mask = sure.masked_fill(~left, -torch.inf).max(1)
        open_ = rows[left.any(1)]
        mask = mask[open_]
        total[open_] += most[open_].to(total.dtype)
        found[open_, mask] = ids[open_, mask]
        embeds[open_, places[open_, mask]] = backbone.words(ids[open_, mask])
        left[open_, mask] = False
    return found, total


def at(hidden: Tensor, places: Int[Tensor, "rows masks"]) -> Float[Tensor, "rows masks width"]:
    """The hidden states at some places of each row."""
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))


def without(
    inputs: Inputs, places: Int[Tensor, "rows masks"], surplus: Bool[Tensor, "rows masks"]
) -> Inputs:
    """The rows with some of their masks taken out, closed up so that text keeps no gap."""
    # places may repeat, where a row has fewer masks than another
    count = places.new_zeros(inputs.mask.shape).scatter_add(1, places, surplus.long())
    dropped = count > 0
    order = dropped.int().argsort(dim=1, stable=True)
    return replace(
        inputs,
        embeds=inputs.embeds.gather(1, order[..., None].expand_as(inputs.embeds)),
        mask=(inputs.mask & ~dropped).gather(1, order),
        types=inputs.types.gather(1, order),
    )
