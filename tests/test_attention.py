"""Prompt keys and values inside attention, on a small random encoder of each family."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
import transformers
from torch import Tensor

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import Table
from ptbench.errors import BackboneError
from ptbench.inputs import IGNORE, Batch, Inputs, KeyValue, stack
from ptbench.models import Random
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt
from ptbench.recompute import enable_checkpointing
from tests.families import BLOCKS, DECODERS

Build = Callable[..., Backbone]
LENGTHS = (7, 4, 5)  # of the rows of a batch


def batch(lengths: tuple[int, ...] = LENGTHS, front: int = 0) -> Batch:
    """Random ids, padded to the longest, with pseudo tokens in front."""
    torch.manual_seed(1)
    tokens = front + max(lengths)
    mask = torch.arange(tokens) < front + torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 120, mask.shape).where(mask, 1)
    slots = torch.arange(tokens).where(torch.arange(tokens) < front, -1).expand_as(ids)
    none = torch.full((len(lengths),), -1)
    targets = torch.full((len(lengths), 1), IGNORE)
    return Batch(ids, mask, torch.zeros_like(ids), slots, none, targets)


def one(some: Batch, row: int) -> Batch:
    """A row of a batch as a batch."""
    tensors = {n: t[row : row + 1] for n, t in vars(some).items() if isinstance(t, Tensor)}
    return replace(some, **tensors)


def layer_prompt(backbone: Backbone, length: int = 3, shifted: bool = True) -> LayerPrompt:
    """A prefix with entries large enough to matter."""
    table = Table(length, LayerPrompt.width(backbone), std=1.0)
    return LayerPrompt(backbone, table, 0.0, shifted).double()


def input_prompt(backbone: Backbone, length: int) -> InputPrompt:
    return InputPrompt(Table(length, backbone.words.embedding_dim, std=1.0)).double()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def by_hand(backbone: Backbone, inputs: Inputs) -> Tensor:
    """One layer of a BERT-like encoder as the papers write it, from the model's own weights."""
    model, (prefix,) = backbone.model, inputs.prefix
    assert prefix is not None
    hidden = backbone.embedded(inputs.embeds, inputs.types, inputs.positions)
    if hasattr(model, "embeddings_project"):
        hidden = model.embeddings_project(hidden)
    distil = hasattr(model, "transformer")
    layer = (model.transformer if distil else model.encoder).layer[0]
    names = ("q_lin", "k_lin", "v_lin") if distil else ("query", "key", "value")
    attention = layer.attention if distil else layer.attention.self
    query, key, value = (getattr(attention, name)(hidden) for name in names)
    rows, size = len(hidden), prefix.key.shape[-1]
    heads = []
    for head in range(prefix.key.shape[1]):
        part = slice(head * size, (head + 1) * size)
        keys = torch.cat([prefix.key[:, head], key[..., part]], 1)
        values = torch.cat([prefix.value[:, head], value[..., part]], 1)
        seen = torch.cat([torch.ones(rows, prefix.key.shape[2]).bool(), inputs.mask], 1)
        scores = query[..., part] @ keys.transpose(1, 2) / size**0.5
        heads.append(scores.masked_fill(~seen[:, None], -torch.inf).softmax(-1) @ values)
    joined = torch.cat(heads, -1)
    if distil:
        attended = layer.sa_layer_norm(layer.attention.out_lin(joined) + hidden)
        return layer.output_layer_norm(layer.ffn(attended) + attended)
    attended = layer.attention.output(joined, hidden)
    return layer.output(layer.intermediate(attended), attended)


def stock(backbone: Backbone, whole: Batch, **rest: Tensor) -> Tensor:
    """What transformers' own model makes of the ids; its decoder, where it has one, too."""
    if backbone.model.config.is_encoder_decoder:
        start = torch.full_like(whole.ids[:, :1], backbone.model.config.decoder_start_token_id)
        rest = {"decoder_input_ids": torch.cat([start, whole.ids[:, :-1]], 1)}
    mask = whole.mask.long()
    return backbone.model(input_ids=whole.ids, attention_mask=mask, **rest).last_hidden_state


@pytest.mark.parametrize("attention", NAMES)
@pytest.mark.parametrize("block", BLOCKS)
def test_one_layer_equals_the_formula(build_backbone: Build, block: str, attention: str) -> None:
    layers = "n_layers" if block == "distilbert" else "num_hidden_layers"
    backbone = build_backbone(block, attention, **{layers: 1})
    inputs = layer_prompt(backbone)(batch(), backbone)
    close(backbone(inputs)[inputs.mask], by_hand(backbone, inputs)[inputs.mask])


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoder_equals_itself_with_the_prefix_in_its_cache(
    build_backbone: Build, decoder: str
) -> None:
    """What peers do: a cache that already holds the prefix, with text positions behind it."""
    backbone = build_backbone(decoder, sliding_window=64)
    whole, prompt = batch(), layer_prompt(backbone)
    inputs = prompt(whole, backbone)
    found = backbone(inputs)
    backbone.injection.prefix = ()
    pairs = [(entry.key, entry.value) for entry in inputs.prefix if entry is not None]
    known = inspect.signature(backbone.model.forward).parameters
    argument = "cache" if "cache" in known else "past_key_values"  # renamed in transformers 5.24
    expected = backbone.model(
        inputs_embeds=inputs.embeds,
        attention_mask=torch.cat([torch.ones(len(LENGTHS), 3), whole.mask], 1).long(),
        position_ids=inputs.positions,
        **{argument: transformers.DynamicCache(pairs)},
    ).last_hidden_state
    close(found[whole.mask], expected[whole.mask])


def test_eager_equals_sdpa(build_backbone: Build, family: str) -> None:
    outputs = []
    for attention in NAMES:
        backbone = build_backbone(family, attention).float()  # many eager softmaxes are in float32
        torch.manual_seed(2)
        inputs = layer_prompt(backbone).float()(batch(), backbone)
        outputs.append(backbone(inputs)[inputs.mask])
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)


def test_gradients_reach_keys_and_values_of_every_layer(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    prompt = layer_prompt(backbone)
    backbone(prompt(batch(), backbone)).pow(2).sum().backward()
    table: Table = prompt.encoder
    gradient = table.embedding.weight.grad
    assert gradient is not None
    widths = [2 * call.heads * call.size for call in prompt.calls]
    for part in gradient.split(widths, 1):  # of a layer: place, key or value, numbers
        assert (part.unflatten(1, (2, -1)).abs().amax(-1) > 1e-9).all()


def test_a_layers_gradient_holds_no_memory_but_its_own(build_backbone: Build, family: str) -> None:
    """Were it a view, those of the text's keys and values would stay until the pass ends."""
    backbone = build_backbone(family)
    inputs = layer_prompt(backbone)(batch(), backbone)
    given = [part for entry in inputs.prefix if entry for part in (entry.key, entry.value)]
    held = torch.autograd.grad(backbone(inputs).pow(2).sum(), given)
    assert [one.untyped_storage().nbytes() for one in held] == [one.nbytes for one in held]


@pytest.mark.parametrize("shifted", [True, False])
def test_padding_is_inert(build_backbone: Build, family: str, shifted: bool) -> None:
    backbone = build_backbone(family)
    prompt = layer_prompt(backbone, shifted=shifted)
    whole = batch()
    together = backbone(prompt(whole, backbone))
    for row, length in enumerate(LENGTHS):
        cut = {n: getattr(whole, n)[:, :length] for n in ("ids", "mask", "types", "slots")}
        alone = one(replace(whole, **cut), row)
        close(together[row, :length], backbone(prompt(alone, backbone))[0])


def test_a_hidden_prefix_leaves_the_bare_backbone(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    prompt = layer_prompt(backbone)
    inputs = prompt(batch(), backbone)
    unseen = torch.zeros(len(LENGTHS), 3, dtype=torch.bool)
    entries = [entry for entry in inputs.prefix if entry is not None]
    hidden = tuple(KeyValue(entry.key, entry.value, unseen) for entry in entries)
    ids = batch()
    for shift in (0, prompt.shift):
        positions = backbone.positions(ids.mask, shift)
        found = backbone(Inputs(inputs.embeds, inputs.mask, inputs.types, positions, hidden))
        backbone.injection.prefix = ()
        bare = stock(backbone, ids, position_ids=positions)
        close(found[ids.mask], bare[ids.mask])
        assert not torch.allclose(found[ids.mask], backbone(inputs)[ids.mask], atol=1e-3)
        backbone.injection.prefix = ()


def test_unshifted_positions_are_the_models_own(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    whole = batch()
    found = backbone(Prompt()(whole, backbone))
    bare = stock(backbone, whole)
    close(found[whole.mask], bare[whole.mask])


def test_a_shift_moves_every_real_position(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    mask = batch().mask
    moved = backbone.positions(mask, 3) - backbone.positions(mask)
    assert (moved[mask] == 3).all()


@pytest.mark.parametrize("attention", NAMES)
def test_rows_of_several_prompts_equal_separate_passes(
    build_backbone: Build, family: str, attention: str
) -> None:
    backbone = build_backbone(family, attention)
    near = close
    if attention == "eager":  # many eager softmaxes are in float32
        backbone, near = backbone.float(), partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
    prompts: list[tuple[Prompt, Batch]] = [
        (layer_prompt(backbone, 3), batch()),
        (layer_prompt(backbone, 5, shifted=False), batch((2, 6))),
        (Prompt(), batch((9,))),
        (input_prompt(backbone, 2), batch((3, 1), front=2)),
    ]
    inputs = [prompt.to(backbone.words.weight)(some, backbone) for prompt, some in prompts]
    stacked = backbone(stack(inputs)).split([len(some.ids) for _, some in prompts])
    for rows, alone, (_, some) in zip(stacked, inputs, prompts, strict=True):
        found = rows[:, : some.ids.shape[1]]
        near(found[some.mask], backbone(alone)[some.mask])


def test_prompts_of_some_layers_leave_the_others_alone(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    table = Table(3, LayerPrompt.width(backbone, [1]), std=1.0)
    prompt = LayerPrompt(backbone, table, 0.0, True, [1]).double()
    entries = prompt(batch(), backbone).prefix
    assert [entry is not None for entry in entries] == [
        call.layer == 1 for call in backbone.injection.calls
    ]
    some = layer_prompt(backbone)(batch(), backbone)
    unseen = torch.zeros(len(LENGTHS), 3, dtype=torch.bool)
    hidden = [KeyValue(e.key, e.value, unseen) for e in some.prefix if e is not None]
    found = backbone(Inputs(some.embeds, some.mask, some.types, some.positions, entries))
    both = tuple(own or unseen for own, unseen in zip(entries, hidden, strict=True))
    same = backbone(Inputs(some.embeds, some.mask, some.types, some.positions, both))
    close(found[some.mask], same[some.mask])


@pytest.mark.parametrize(("attention", "share"), [*product(NAMES, [0.0]), ("sdpa", 0.3)])
def test_checkpointing_gives_equal_gradients(
    build_backbone: Build, family: str, attention: str, share: float
) -> None:
    if not build_backbone(family).model.supports_gradient_checkpointing:
        with pytest.raises(BackboneError, match=r"set model\.gradient_checkpointing=false"):
            enable_checkpointing(build_backbone(family).model)
        return
    gradients = []
    for checkpointing in (False, True):
        backbone = build_backbone(family, attention)
        if checkpointing:
            enable_checkpointing(backbone.model)
        torch.manual_seed(2)
        prompt = layer_prompt(backbone)
        prompt.dropout.p = share
        backbone.train()
        backbone(prompt(batch(), backbone)).pow(2).sum().backward()
        table: Table = prompt.encoder
        gradients.append(table.embedding.weight.grad)
    close(*gradients)


@pytest.mark.parametrize("family", ["mpnet", "fnet"])
def test_attention_outside_the_registry_is_refused_by_name(family: str, tiny: Random) -> None:
    config = transformers.AutoConfig.for_model(
        family,
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
    )
    model = transformers.AutoModel.from_config(config)
    with pytest.raises(BackboneError, match=family):
        Backbone(model, tiny.load().tokenizer, Pooling.first, None)
