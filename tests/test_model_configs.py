"""What each model file of conf/ says of its checkpoint, against the published configs.

`published_configs.json` holds of each config the values that differ from transformers' defaults,
with the place where they were read; `recalled` names those that were not seen in print.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from ptbench import listing
from ptbench.backbones import TABLES, Pooling
from ptbench.build import build
from ptbench.models import DType, Model, Pretrained, Random
from ptbench.paths import CONF

PUBLISHED = json.loads((Path(__file__).parent / "published_configs.json").read_text())
HUB = [
    file.stem
    for file in sorted((CONF / "model").glob("*.yaml"))
    if "_target_: ptbench.models.Pretrained\n" in file.read_text()
]
LARGE = 1e9  # parameters from which a model loads in bfloat16 and recomputes its activations
# counted by others, in model cards and in public code that checks its downloads
KNOWN = {
    "bert_base_uncased": 109_482_240,
    "gpt2_xl": 1_557_611_200,
    "llama3_1b": 1_235_814_400,
    "qwen3_0.6b": 596_049_920,
    "roberta_large": 355_359_744,
    "smollm2_135m": 134_515_008,
    "t5_base": 222_903_552,
}


@cache
def model_of(choice: str) -> Pretrained:
    # tests/test_conf.py composes every choice, which takes longer than all of this
    model = build(OmegaConf.load(CONF / "model" / f"{choice}.yaml"), "model", Model)
    assert isinstance(model, Pretrained)
    return model


def config_of(name: str) -> PreTrainedConfig:
    return AutoConfig.for_model(**PUBLISHED[name]["config"])


@cache
def on_meta(name: str) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModel.from_config(config_of(name))


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def printed(count: int) -> str:
    return f"{count / 1e9:.3f}B" if count >= LARGE else f"{count / 1e6:.1f}M"


def whole(config: PreTrainedConfig) -> str:
    """The size with an LM head that has weights of its own."""
    if config.tie_word_embeddings:
        return ""
    with torch.device("meta"):
        return f" ({printed(size(AutoModelForCausalLM.from_config(config)))} with the LM head)"


def positions(model: PreTrainedModel) -> str:
    """The places that the position table has, or else the length that the config names."""
    for name, module in model.named_modules():
        if name.endswith(TABLES) and isinstance(module, nn.Embedding):
            pad = module.padding_idx
            unused = getattr(module, "offset", 0) if pad is None else pad + 1
            return f"{module.num_embeddings - unused:,} positions"
    config: Any = model.config
    length = getattr(config, "max_position_embeddings", None) or config.n_positions
    return f"made for {length:,} positions"


def test_every_model_of_the_hub_has_its_published_config() -> None:
    assert sorted(model_of(choice).name for choice in HUB) == sorted(PUBLISHED)


@pytest.mark.parametrize("choice", HUB)
def test_the_first_line_tells_name_size_positions_and_precision(choice: str) -> None:
    model = model_of(choice)
    checkpoint = on_meta(model.name)
    sizes = f"{printed(size(checkpoint))} parameters{whole(config_of(model.name))}"
    said = f"{model.name}: {sizes}, {positions(checkpoint)}, {model.dtype}"
    assert listing.description(CONF / "model" / f"{choice}.yaml") == said


@pytest.mark.parametrize("choice", HUB)
def test_a_large_model_saves_memory(choice: str) -> None:
    model = model_of(choice)
    large = size(on_meta(model.name)) >= LARGE
    assert (model.dtype is DType.bfloat16) == large
    assert model.gradient_checkpointing == large


@pytest.mark.parametrize("choice", HUB)
def test_a_model_is_pinned_to_a_commit(choice: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", model_of(choice).revision or "")


@pytest.mark.parametrize("choice", KNOWN)
def test_sizes_are_those_that_others_count(choice: str) -> None:
    assert size(on_meta(model_of(choice).name)) == KNOWN[choice]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_names_only_what_differs_from_the_defaults(name: str) -> None:
    published = dict(PUBLISHED[name]["config"])
    default = AutoConfig.for_model(published.pop("model_type"))
    assert [key for key, value in published.items() if getattr(default, key, None) == value] == []
    assert set(PUBLISHED[name].get("recalled", [])) <= {*published, "tie_word_embeddings"}


def test_the_last_text_token_is_pooled() -> None:
    backbone = Random(Pooling.last, False, 8, 1, 2, 8).load()
    hidden = torch.arange(15.0).view(3, 5, 1)
    text = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 0, 1, 0, 1]], dtype=torch.bool)
    assert backbone.pool(hidden, text).flatten().tolist() == [1, 8, 14]
