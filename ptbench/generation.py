"""Text that an adapted model writes on, by transformers' own search over the backbone's LM head."""

from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from ptbench.backbones import Backbone
from ptbench.inputs import Inputs, KeyValue


@torch.no_grad()
def generate(
    backbone: Backbone, inputs: Inputs, new_tokens: int, beams: int = 1, cache: bool = True
) -> Int[Tensor, "rows new"]:
    """Ids of at most `new_tokens` tokens behind each row, greedily or by beam search.

    An encoder-decoder reads the rows in its encoder and writes with its decoder. Rows that end
    early are filled up with the padding id. Without `cache` every step reads all over again.

    Raises BackboneError where the backbone has no LM head.
    """
    arguments: dict[str, Any] = {"eos_token_id": backbone.tokenizer.eos_token_id}
    if not backbone.two_stacks:
        inputs = padded_left(inputs)
        arguments["position_ids"] = inputs.positions
    backbone.injection.prefix = inputs.prefix
    with backbone.lm_head.around(backbone.model) as language_model:
        written = _search(language_model, cache)(
            inputs_embeds=inputs.embeds,
            attention_mask=inputs.mask.long(),
            max_new_tokens=new_tokens,
            num_beams=beams,
            do_sample=False,
            use_cache=cache,
            pad_token_id=_padding(language_model),
            **{name: value for name, value in arguments.items() if value is not None},
        )
    return written[:, 1:] if backbone.two_stacks else written  # less the token that starts


def padded_left(inputs: Inputs) -> Inputs:
    """The same rows with as little padding as can be, in front: all texts end at one place."""
    longest = int(inputs.mask.sum(1).max())
    order = inputs.mask.int().argsort(dim=1, stable=True)[:, -longest:]

    def moved(tensor: Tensor) -> Tensor:
        index = order if tensor.ndim == 2 else order[..., None].expand(-1, -1, tensor.shape[2])
        return tensor.gather(1, index)

    def seen(entry: KeyValue | None) -> KeyValue | None:
        if entry is None or entry.mask is None or entry.queries == 1:
            return entry
        return replace(entry, mask=moved(entry.mask))

    embeds, mask, types, positions = map(
        moved, (inputs.embeds, inputs.mask, inputs.types, inputs.positions)
    )
    prefix = tuple(map(seen, inputs.prefix))
    return replace(
        inputs, embeds=embeds, mask=mask, types=types, positions=positions, prefix=prefix
    )


def _padding(model: PreTrainedModel) -> int:
    config: Any = model.generation_config
    ends = config.eos_token_id
    end = ends[0] if isinstance(ends, list) else ends
    return next((i for i in (config.pad_token_id, end) if i is not None), 0)


def _search(model: PreTrainedModel, cache: bool) -> Any:
    """`generate`, which of itself turns the cache on where embeddings are given."""
    if cache or model.config.is_encoder_decoder:
        return model.generate
    return lambda **arguments: _whole_again(model, arguments)


def _whole_again(model: Any, arguments: dict[str, Any]) -> Tensor:
    words = model.get_input_embeddings()
    stock = model.prepare_inputs_for_generation

    @wraps(stock)  # generate reads the signature
    def prepare(ids: Tensor, **given: Any) -> dict[str, Any]:
        whole = torch.cat([given["inputs_embeds"], words(ids)], 1)
        positions = given["position_ids"]
        fixed = {"input_ids": None, "cache": None, "past_key_values": None, "use_cache": False}
        prepared = {**stock(ids, **given), "inputs_embeds": whole, "position_ids": positions}
        return {name: fixed.get(name, value) for name, value in prepared.items()}

    model.prepare_inputs_for_generation = prepare
    try:
        return model.generate(**arguments)
    finally:
        del model.prepare_inputs_for_generation
