"""Generation with every kind of prompt: the searches against a plain loop over forward."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import Table
from ptbench.errors import BackboneError
from ptbench.generation import generate, padded_left
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Classification
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.prompts import InfixPrompt, InputPrompt, LayerPrompt, Prompt
from tests.families import DECODERS, FAMILIES, PAIRS
from tests.test_attention import batch, one

KIND = Classification(("n", "y"), text="{x}", pattern="{x}")
NEW = 6
TOKENS = ("ids", "mask", "types", "slots", "targets")  # of a batch, for each place
PROMPTS: dict[str, Callable[[Backbone], Prompt]] = {
    "no prompt": lambda backbone: Prompt(),
    "prefix": lambda backbone: LayerPrompt(
        backbone, Table(3, LayerPrompt.width(backbone), std=1.0), 0.0, shifted=True
    ),
    "infix": lambda backbone: InfixPrompt(
        backbone, Table(3, LayerPrompt.width(backbone), std=1.0), 0.0, shifted=True
    ),
    "word embeddings": lambda backbone: InputPrompt(Table(2, backbone.words.embedding_dim, 1.0)),
}
CASES = [
    (family, prompt)
    for family in (*DECODERS, *PAIRS)
    for prompt in PROMPTS
    if family in DECODERS or prompt != "infix"
]


def writer(family: str, prompt: str, tiny: Random) -> Adapted:
    """A random language model with a prompt, in float64, that never ends a text early."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, **FAMILIES[family], attn_implementation=NAMES["sdpa"]
    )
    config.eos_token_id = config.forced_eos_token_id = None
    config.tie_word_embeddings = False  # tied and random, they say one word again and again
    auto = (
        transformers.AutoModelForSeq2SeqLM if family in PAIRS else transformers.AutoModelForCausalLM
    )
    whole = auto.from_config(config).double()
    for parameter in whole.parameters():
        if parameter.ndim > 1:  # norms and biases as they are: BART's would outweigh the text
            torch.nn.init.normal_(parameter, std=0.3)
    # T5's has no backbone in it, but the backbone's parts
    model = getattr(whole, whole.base_model_prefix, None) or transformers.AutoModel.from_config(
        config
    )
    model.double().load_state_dict(whole.state_dict(), strict=False)
    backbone = Backbone(model, tiny.load().tokenizer, Pooling.last, lambda: whole)
    head = KIND.head(backbone)
    parts = (KIND, backbone, PROMPTS[prompt](backbone), head)
    return Adapted(*parts, frozen=True, backbone_dropout=False).double().eval()


def text(prompt: str) -> Batch:
    some = batch(front=2 if prompt == "word embeddings" else 0)
    last = torch.arange(some.ids.shape[1]) == some.mask.sum(1, keepdim=True) - 1
    return replace(some, targets=torch.where(last, 7, IGNORE))  # what the last place writes first


def generated(model: Adapted, some: Batch, *arguments: Any, **more: Any) -> Tensor:
    return generate(model.backbone, model.prompt(some, model.backbone), *arguments, **more)


def loop(model: Adapted, some: Batch) -> Tensor:
    """Greedy ids by a forward pass over everything for each token, row after row, unpadded."""
    backbone, rows = model.backbone, []
    for row in range(len(some.ids)):
        alone = one(some, row)
        length = int(alone.mask.sum())
        alone = replace(alone, **{n: getattr(alone, n)[:, :length] for n in TOKENS})
        rows.append(_written(model, backbone, alone))
    return torch.tensor(rows)


def _written(model: Adapted, backbone: Backbone, alone: Batch) -> list[int]:
    inputs = model.prompt(alone, backbone)
    written: list[int] = []
    for _ in range(NEW):
        backbone.injection.prefix = inputs.prefix
        if backbone.model.config.is_encoder_decoder:
            start = backbone.model.config.decoder_start_token_id
            hidden = backbone.model(
                inputs_embeds=inputs.embeds,
                attention_mask=inputs.mask.long(),
                decoder_input_ids=torch.tensor([[start, *written]]),
            ).last_hidden_state
        else:
            embeds = torch.cat([inputs.embeds, backbone.words(torch.tensor([written]).long())], 1)
            behind = inputs.positions[:, -1:] + 1 + torch.arange(len(written))
            hidden = backbone.model(
                inputs_embeds=embeds, position_ids=torch.cat([inputs.positions, behind], 1)
            ).last_hidden_state
        written.append(int(backbone.lm_head(hidden[:, -1:]).argmax()))
    return written


@pytest.mark.parametrize(("family", "prompt"), CASES)
def test_cached_equals_uncached_equals_a_plain_loop(family: str, prompt: str, tiny: Random) -> None:
    model, some = writer(family, prompt, tiny), text(prompt)
    expected = loop(model, some)
    assert len(expected.unique()) > 2  # so that there is something to confuse
    assert torch.equal(generated(model, some, NEW), expected)
    assert torch.equal(generated(model, some, NEW, cache=False), expected)


@pytest.mark.parametrize(("family", "prompt"), CASES)
def test_beam_search_is_the_same_cached_and_row_by_row(
    family: str, prompt: str, tiny: Random
) -> None:
    model, some = writer(family, prompt, tiny), text(prompt)
    together = generated(model, some, NEW, beams=3)
    assert torch.equal(generated(model, some, NEW, beams=3, cache=False), together)
    for row in range(len(some.ids)):
        alone = one(some, row)
        assert torch.equal(generated(model, alone, NEW, beams=3)[0], together[row])


@pytest.mark.parametrize("family", (*DECODERS, *PAIRS))
def test_a_prefix_changes_what_is_written(family: str, tiny: Random) -> None:
    with_prefix, without = writer(family, "prefix", tiny), writer(family, "no prompt", tiny)
    some = text("prefix")
    assert not torch.equal(generated(with_prefix, some, NEW), generated(without, some, NEW))


def test_padding_goes_to_the_front_and_texts_stay(build_backbone: Callable[..., Backbone]) -> None:
    backbone, some = build_backbone("gpt2"), batch()
    inputs = backbone.inputs(some, shift=2)
    moved = padded_left(inputs)
    assert moved.mask[:, -1].all()
    for before, after in ((inputs.embeds, moved.embeds), (inputs.positions, moved.positions)):
        assert torch.equal(before[inputs.mask], after[moved.mask])


def test_without_an_lm_head_it_says_so(build_backbone: Callable[..., Backbone]) -> None:
    backbone = build_backbone("gpt2")
    with pytest.raises(BackboneError, match="no LM head"):
        generate(backbone, backbone.inputs(batch()), NEW)
