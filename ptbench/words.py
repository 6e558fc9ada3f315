"""Real words, from which a prompt can start: their ids, and what a backbone makes of them."""

from collections import Counter

import torch
from torch import Tensor

from ptbench.attention import HOOK, watched
from ptbench.backbones import Backbone
from ptbench.errors import ConfigError
from ptbench.inputs import KeyValue
from ptbench.templates import Encoder


def word_ids(backbone: Backbone, words: str | None, length: int) -> list[int]:
    """Ids of the words, said again and again until `length` places are full; none for null."""
    if words is None:
        return []
    pieces = Encoder(backbone.tokenizer, length).pieces(words, spaced=True)
    if not pieces:
        raise ConfigError(f"method.init_words={words!r} holds no word; name some, or set it null")
    return (pieces * length)[:length]


def drawn_ids(backbone: Backbone, length: int) -> list[int]:
    """Random ids of the vocabulary, special tokens left out."""
    size = min(len(backbone.tokenizer), backbone.words.num_embeddings)
    ids = sorted(set(range(size)) - set(backbone.tokenizer.all_special_ids))
    return torch.tensor(ids)[torch.randint(len(ids), (length,))].tolist()


def keys_and_values(backbone: Backbone, ids: Tensor) -> list[KeyValue]:
    """What each attention call of the bare backbone takes of these words when it reads them alone.

    Of an encoder-decoder both stacks read them, the decoder without the token that starts it.
    """
    model, injection = backbone.model, backbone.injection
    injection.prefix = ()
    embeds = backbone.words(ids[None])
    both = {"decoder_inputs_embeds": embeds} if model.config.is_encoder_decoder else {}
    turns: Counter[torch.nn.Module] = Counter()
    found: dict[int, KeyValue] = {}
    for call in watched(model, inputs_embeds=embeds, **both):
        number = call.module.__dict__[HOOK].numbers[turns[call.module]]
        found[number] = KeyValue(call.key, call.value)
        turns[call.module] += 1
    return [found[number] for number in sorted(found)]
