"""Prompts that start from real words: the backbone's own embeddings, keys and values of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ptbench.attention import Site
from ptbench.backbones import Backbone
from ptbench.encoders import MLP, Table, joined
from ptbench.errors import ConfigError
from ptbench.inputs import Batch
from ptbench.kinds import Kind
from ptbench.method import Adapted
from ptbench.prompts import InputPrompt, LayerPrompt
from ptbench.templates import Encoder
from ptbench.train import Job, Part
from ptbench.words import drawn_ids, keys_and_values
from tests.conftest import KINDS, sentences
from tests.families import DECODERS, PAIRS
from tests.runs import built
from tests.test_attention import batch, stock

Build = Callable[..., Backbone]
WORDS = [17, 93, 40]


def exact(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def started(backbone: Backbone, layers: list[int] | None = None) -> LayerPrompt:
    """A table of the words' activations."""
    table = Table(len(WORDS), LayerPrompt.width(backbone, layers))
    prompt = LayerPrompt(backbone, table, 0.0, True, layers, WORDS).double()
    prompt.start(backbone)
    return prompt


def behind_the_words(whole: Batch) -> Batch:
    """The same rows with the words themselves in front."""
    rows = len(whole.ids)
    words = torch.tensor(WORDS).expand(rows, -1)
    parts = {"ids": words, "mask": words > 0, "types": words * 0, "slots": words * 0 - 1}
    return replace(
        whole, **{name: torch.cat([part, getattr(whole, name)], 1) for name, part in parts.items()}
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_prefix_of_activations_is_the_words_read_before_the_text(
    build_backbone: Build, decoder: str
) -> None:
    backbone, whole = build_backbone(decoder, sliding_window=64), batch()
    found = backbone(started(backbone)(whole, backbone))
    backbone.injection.prefix = ()
    expected = stock(backbone, behind_the_words(whole))[:, len(WORDS) :]
    exact(found[whole.mask], expected[whole.mask])


ONE_LAYER = ("bert", "roberta", "electra", "albert", "distilbert", "modernbert")


@pytest.mark.parametrize("encoder", ONE_LAYER)
def test_in_a_bidirectional_encoder_so_far_as_the_words_do_not_read_the_text(
    build_backbone: Build, encoder: str
) -> None:
    """In one layer they never do."""
    layers = "n_layers" if encoder == "distilbert" else "num_hidden_layers"
    backbone, whole = build_backbone(encoder, **{layers: 1}), batch()
    found = backbone(started(backbone)(whole, backbone))
    backbone.injection.prefix = ()
    expected = stock(backbone, behind_the_words(whole))[:, len(WORDS) :]
    exact(found[whole.mask], expected[whole.mask])


@pytest.mark.parametrize("pair", PAIRS)
def test_each_site_of_a_pair_takes_what_the_model_computes(
    build_backbone: Build, pair: str
) -> None:
    """The decoder's against transformers' cache, the encoder's against its own projections."""
    backbone = build_backbone(pair)
    seen: dict[str, list[Tensor]] = {"k": [], "v": []}
    for name, module in backbone.model.encoder.named_modules():
        for number in seen:
            if name.endswith((f".{number}_proj", f"SelfAttention.{number}")):
                module.register_forward_hook(lambda *a, to=seen[number]: to.append(a[-1]))
    words = torch.tensor([WORDS])
    output = backbone.model(input_ids=words, decoder_input_ids=words, use_cache=True)
    known = "cache" if getattr(output, "cache", None) is not None else "past_key_values"
    cache: Any = getattr(output, known)
    projected = {n: [t.unflatten(-1, (4, 8)).transpose(1, 2) for t in ts] for n, ts in seen.items()}
    own = {
        Site.decoder: [(layer.keys, layer.values) for layer in cache.self_attention_cache.layers],
        Site.cross: [(layer.keys, layer.values) for layer in cache.cross_attention_cache.layers],
        Site.encoder: list(zip(projected["k"], projected["v"], strict=True)),
    }
    calls = backbone.injection.calls
    assert len(calls) == sum(map(len, own.values())) == 6
    prefix = started(backbone).prefix(1)
    for call, entry, raw in zip(calls, prefix, keys_and_values(backbone, words[0]), strict=True):
        key, value = own[call.site][call.layer]
        assert entry is not None
        for found in (entry, raw):
            exact(found.key, key)
            exact(found.value, value)


def test_some_layers_take_their_own_activations(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    some, every = started(backbone, [1]).prefix(1), started(backbone).prefix(1)
    for call, one, other in zip(backbone.injection.calls, some, every, strict=True):
        assert (one is not None) == (call.layer == 1)
        if one is not None and other is not None:
            assert torch.equal(one.key, other.key) and torch.equal(one.value, other.value)


def test_word_embeddings_start_at_the_vocabularys_rows(build_backbone: Build, family: str) -> None:
    """So that a prompt of words is the words, standing in front of the text."""
    backbone, plain = build_backbone(family), behind_the_words(batch())
    front = torch.tensor([0, 1, 2, *[-1] * (plain.ids.shape[1] - 3)]).expand_as(plain.ids)
    whole = replace(plain, ids=plain.ids.where(front < 0, 5), slots=front)
    prompt = InputPrompt(Table(len(WORDS), backbone.words.embedding_dim), words=WORDS).double()
    prompt.start(backbone)
    found = backbone(prompt(whole, backbone))
    exact(found[whole.mask], stock(backbone, plain)[plain.mask])


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_an_mlp_comes_near_and_keeps_its_own_rows(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    encoder = joined(
        lambda width: MLP(len(WORDS), 32, 64, width, nn.Tanh()), LayerPrompt.widths(backbone)
    )
    prompt = LayerPrompt(backbone, encoder, 0.0, True, words=WORDS).double()
    wanted = prompt.real(backbone, torch.tensor(WORDS)).detach()
    before = {name: p.detach().clone() for name, p in prompt.named_parameters()}
    far = (encoder() - wanted).pow(2).mean()
    prompt.start(backbone)
    assert (encoder() - wanted).pow(2).mean() < 0.8 * far
    for name, parameter in prompt.named_parameters():
        assert torch.equal(parameter, before[name]) == ("embedding" in name), name
        assert parameter.grad is None


def test_sites_side_by_side_are_fitted_as_if_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(2, 12)
    widths = [8, 4]
    together = joined(lambda width: MLP(2, 4, 16, width, nn.Tanh()), widths)
    alone = [MLP(2, 4, 16, width, nn.Tanh()) for width in widths]
    for part, one in zip(together.parts, alone, strict=True):
        one.load_state_dict(part.state_dict())
    together.fit(wanted)
    for one, own in zip(alone, wanted.split(widths, -1), strict=True):
        one.fit(own)
    assert torch.equal(together(), torch.cat([one() for one in alone], -1))


def adapted(backbone: Backbone, method: str, *settings: str, kind: str = "labelling") -> Adapted:
    cell = built(f"method={method}", "model=tiny", *(f"method.{s}" for s in settings))
    return cell.method.adapt(backbone, KINDS[kind])


def job(model: Adapted) -> Job:
    """A job of a few sentences, not yet begun."""
    encoder = Encoder(model.backbone.tokenizer, 32)
    kind: Kind = model.kind
    rows = [kind.encode(row, encoder, kind.template) for row in sentences("train", 4, seed=0)]
    training = built("method=finetune", "model=tiny").training
    accelerator = Accelerator(cpu=True)
    return Job(model, encoder, Part(rows, []), Part(rows, []), training, 0, accelerator)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("ptuning_v2", ["init_words=abc"]),
        ("prefix_tuning", ["init_words=abc"]),
        ("prefix_embedding", ["init_words=abc"]),
        ("prompt_tuning", ["init=vocabulary", "init_words=abc"]),
        ("prompt_tuning", ["init=vocabulary"]),
    ],
)
def test_a_job_begins_at_the_words(tiny: Any, method: str, settings: list[str]) -> None:
    torch.manual_seed(0)
    model = adapted(tiny.load(), method, *settings)
    encoder, words = model.prompt.encoder, model.prompt.words
    assert encoder is not None and len(words) == encoder.length == 16
    if "init_words=abc" in settings:
        pieces = model.backbone.tokenizer("abc", add_special_tokens=False)["input_ids"]
        assert words == (pieces * 16)[:16]
    before = encoder().detach().clone()
    job(model)
    wanted = model.prompt.real(model.backbone, torch.tensor(words)).detach()
    if isinstance(encoder, Table):
        assert torch.equal(encoder(), wanted)
    else:
        assert (encoder() - wanted).pow(2).mean() < 0.5 * (before - wanted).pow(2).mean()


@pytest.mark.parametrize("method", ["ptuning_v2", "prefix_tuning", "prompt_tuning"])
def test_without_words_a_job_leaves_the_prompt_as_it_was_drawn(tiny: Any, method: str) -> None:
    model = adapted(tiny.load(), method)
    assert model.prompt.encoder is not None and not model.prompt.words
    before = model.prompt.encoder().detach().clone()
    job(model)
    assert torch.equal(model.prompt.encoder(), before)


def test_drawn_words_are_of_the_vocabulary_and_not_special(build_backbone: Build) -> None:
    backbone = build_backbone("bert")  # of 120 words, the tokenizer has more
    torch.manual_seed(0)
    ids = drawn_ids(backbone, 2000)
    special = set(backbone.tokenizer.all_special_ids)
    assert len(special) == 5
    assert set(ids) == set(range(120)) - special
    assert ids != drawn_ids(backbone, 2000)


def test_words_that_are_none_are_refused(tiny: Any) -> None:
    with pytest.raises(ConfigError, match=r"method\.init_words=' ' holds no word"):
        adapted(tiny.load(), "ptuning_v2", "init_words=' '")
    with pytest.raises(ConfigError, match=r"init_words='abc' and method\.init=normal"):
        adapted(tiny.load(), "prompt_tuning", "init_words=abc")


@pytest.mark.parametrize(
    ("method", "std"),
    [
        ("ptuning_v2", 0.02),
        ("prefix_tuning", 1.0),
        ("prompt_tuning", 0.02),
        ("prefix_embedding", 1),
    ],
)
def test_rows_spread_as_the_yaml_says(tiny: Any, method: str, std: float) -> None:
    torch.manual_seed(0)
    length = "prompt_length" if method == "prompt_tuning" else "prefix_length"
    assert spread(adapted(tiny.load(), method, f"{length}=200")) == pytest.approx(std, rel=0.05)
    wide = adapted(tiny.load(), method, f"{length}=200", "init_std=0.5")
    assert spread(wide) == pytest.approx(0.5, rel=0.05)


def spread(model: Adapted) -> float:
    table: Any = model.prompt.encoder
    return table.embedding.weight.std().item()
