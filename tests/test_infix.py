"""Keys and values between source and text: x does not see them, y does and stands behind them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
import transformers
from torch import Tensor

from ptbench.attention import NAMES
from ptbench.backbones import Backbone
from ptbench.encoders import Table
from ptbench.errors import BackboneError, ConfigError
from ptbench.inputs import IGNORE, Batch, stack
from ptbench.kinds import Labelling
from ptbench.prompts import InfixPrompt, LayerPrompt, Prompt
from ptbench.recompute import enable_checkpointing
from tests.conftest import KINDS
from tests.families import DECODERS, PAIRS
from tests.runs import built
from tests.test_attention import LENGTHS, batch, close, layer_prompt

Build = Callable[..., Backbone]
SOURCES = (4, 1, 3)  # tokens of the source in each row of 7, 4 and 5
LENGTH = 3


def written(sources: tuple[int, ...] = SOURCES) -> Batch:
    """The rows of `batch`, each answered from behind its source on."""
    some = batch()
    behind = torch.arange(some.ids.shape[1]) >= torch.tensor(sources)[:, None]
    return replace(some, targets=torch.where(behind & some.mask, 7, IGNORE))


def infix(backbone: Backbone, shifted: bool = True) -> InfixPrompt:
    table = Table(LENGTH, LayerPrompt.width(backbone), std=1.0)
    return InfixPrompt(backbone, table, 0.0, shifted).double()


def in_two_passes(backbone: Backbone, prompt: InfixPrompt, ids: Tensor, source: int) -> Tensor:
    """x alone into transformers' cache, the infix put behind it there, then y."""
    backbone.injection.prefix = ()
    known = inspect.signature(backbone.model.forward).parameters
    argument = "cache" if "cache" in known else "past_key_values"  # renamed in transformers 5.24
    cache = transformers.DynamicCache()
    first = backbone.model(input_ids=ids[:, :source], **{argument: cache}).last_hidden_state
    pairs = [
        (torch.cat([layer.keys, entry.key], 2), torch.cat([layer.values, entry.value], 2))
        for layer, entry in zip(cache.layers, prompt.prefix(1), strict=True)
        if entry is not None
    ]
    start = source + prompt.shift
    second = backbone.model(
        input_ids=ids[:, source:],
        attention_mask=torch.ones(1, ids.shape[1] + LENGTH).long(),
        position_ids=torch.arange(start, start + ids.shape[1] - source)[None],
        **{argument: transformers.DynamicCache(pairs)},
    ).last_hidden_state
    return torch.cat([first, second], 1)[0]


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("decoder", DECODERS)
def test_equals_two_passes_through_a_cache(
    build_backbone: Build, decoder: str, shifted: bool
) -> None:
    backbone, whole = build_backbone(decoder, sliding_window=64), written()
    prompt = infix(backbone, shifted)
    found = backbone(prompt(whole, backbone))
    for row, (source, length) in enumerate(zip(SOURCES, LENGTHS, strict=True)):
        expected = in_two_passes(backbone, prompt, whole.ids[row : row + 1, :length], source)
        close(found[row, :length], expected)


@pytest.mark.parametrize("decoder", DECODERS)
def test_positions_count_on_behind_the_infix(build_backbone: Build, decoder: str) -> None:
    backbone = build_backbone(decoder)
    inputs = infix(backbone)(written((2, 2, 2)), backbone)
    assert inputs.positions[0].tolist() == [0, 1, 5, 6, 7, 8, 9]
    unshifted = infix(backbone, shifted=False)(written((2, 2, 2)), backbone)
    assert unshifted.positions[0].tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("attention", NAMES)
@pytest.mark.parametrize("decoder", DECODERS)
def test_rows_of_several_prompts_equal_separate_passes(
    build_backbone: Build, decoder: str, attention: str
) -> None:
    backbone = build_backbone(decoder, attention)
    near = close
    if attention == "eager":  # many eager softmaxes are in float32
        backbone, near = backbone.float(), partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
    prompts: list[tuple[Prompt, Batch]] = [
        (infix(backbone), written()),
        (layer_prompt(backbone, 5), batch((2, 6))),
        (Prompt(), batch((9,))),
        (infix(backbone, shifted=False), written((1, 2, 0))),
    ]
    inputs = [prompt.to(backbone.words.weight)(some, backbone) for prompt, some in prompts]
    stacked = backbone(stack(inputs)).split([len(some.ids) for _, some in prompts])
    for rows, alone, (_, some) in zip(stacked, inputs, prompts, strict=True):
        found = rows[:, : some.ids.shape[1]]
        near(found[some.mask], backbone(alone)[some.mask])


@pytest.mark.parametrize("decoder", DECODERS)
def test_gradients_reach_every_layer_with_and_without_checkpointing(
    build_backbone: Build, decoder: str
) -> None:
    gradients: list[Tensor] = []
    for checkpointing in (False, True):
        backbone = build_backbone(decoder)
        if checkpointing:
            enable_checkpointing(backbone.model)
        torch.manual_seed(2)
        prompt = infix(backbone)
        backbone.train()
        backbone(prompt(written(), backbone)).pow(2).sum().backward()
        table: Any = prompt.encoder
        gradients.append(table.embedding.weight.grad)
    close(*gradients)
    widths = [2 * call.heads * call.size for call in prompt.calls]
    for part in gradients[0].split(widths, 1):  # of a layer: place, key or value, numbers
        assert (part.unflatten(1, (2, -1)).abs().amax(-1) > 1e-9).all()


@dataclass(frozen=True)
class Written(Labelling):
    """A kind whose targets stand for a text that is written."""

    writes: ClassVar[bool] = True


def test_the_method_puts_it_there(tiny: Any) -> None:
    method = built("method=prefix_tuning", "model=tiny", "method.infix=true").method
    model = method.adapt(tiny.load(), Written(("O",)))
    assert isinstance(model.prompt, InfixPrompt)
    facts = model.describe(method.name)
    assert facts["title"] == "prefix-tuning, infix"
    assert facts["prompt"] == "keys and values of every layer, between source and text"


def test_a_task_that_writes_nothing_is_refused(tiny: Any) -> None:
    method = built("method=prefix_tuning", "model=tiny", "method.infix=true").method
    for kind in KINDS.values():
        with pytest.raises(ConfigError, match=r"infix=true: .* set method\.infix=false"):
            method.adapt(tiny.load(), kind)


@pytest.mark.parametrize("pair", PAIRS)
def test_two_stacks_are_refused(build_backbone: Build, pair: str) -> None:
    with pytest.raises(BackboneError, match=f"'{pair}' reads and writes in two stacks"):
        infix(build_backbone(pair))
