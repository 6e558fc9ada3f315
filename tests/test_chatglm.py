"""P-tuning v2 on ChatGLM-6B against the numbers of its own code (tests/oracles)."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.models import Random
from ptbench.prompts import LayerPrompt
from tests.chatglm import ChatGLMConfig, ChatGLMForCausalLM, positions, visible
from tests.originals import Oracle, ours
from tests.test_oracles import FILES

CASES = [f for f in FILES if json.loads(f.read_text())["config"]["model_type"] == "chatglm"]
every_case = pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)


def read(file: Path, dtype: torch.dtype = torch.float64) -> Oracle:
    return Oracle(json.loads(file.read_text()), load_file(file.with_suffix(".safetensors")), dtype)


def build(oracle: Oracle, attention: str = "sdpa") -> tuple[ChatGLMForCausalLM, LayerPrompt]:
    """The case's frozen model, open to prefixes, and its prompt."""
    settings = {**oracle.facts["config"], "attn_implementation": NAMES[attention]}
    model = ChatGLMForCausalLM(ChatGLMConfig(**settings))
    model.load_state_dict(oracle.part("backbone."))
    model.requires_grad_(False)
    tokenizer = Random(Pooling.first, True, 4, 1, 1, 8).load().tokenizer
    backbone = Backbone(model.transformer, tokenizer, Pooling.first, lambda: model)
    dropout = oracle.facts["method"]["prefix_dropout"]
    prompt = LayerPrompt(backbone, oracle.encoder(), dropout, shifted=False)
    nn.ModuleList([model, prompt]).to(oracle.dtype).eval()
    backbone.injection.prefix = prompt.prefix(len(oracle.tensors["input.input_ids"]))
    return model, prompt


def sequence_first(prompt: LayerPrompt) -> Tensor:
    """Keys and values as ChatGLM stores them: (2 * layers, length, 1, heads, size)."""
    entries = [entry for entry in prompt.prefix(1) if entry is not None]
    both = torch.cat([torch.stack([entry.key, entry.value]) for entry in entries])
    return both.permute(0, 3, 1, 2, 4)


@every_case
@pytest.mark.parametrize("attention", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
def test_equals_the_original(file: Path, dtype: torch.dtype, attention: str) -> None:
    oracle = read(file, dtype)
    model, prompt = build(oracle, attention)
    stored = sequence_first(prompt)
    oracle.check("output.prefix_kv_all", stored)
    oracle.check("output.prefix_kv_first_layer", stored[:2])
    oracle.check("output.prefix_kv_last_layer", stored[-2:])

    given = oracle.part("input.")
    hidden = model.transformer(given["input_ids"]).last_hidden_state
    oracle.check("output.last_hidden_state", hidden)
    output = model(**given)
    oracle.check("output.logits", output.logits)
    oracle.check("output.loss", output.loss)

    output.loss.backward()
    expected = oracle.part("grad.prompt.", ours)
    assert prompt.encoder is not None
    found = {n: p.grad for n, p in prompt.encoder.named_parameters() if p.grad is not None}
    assert expected.keys() == found.keys()
    for name, gradient in found.items():
        oracle.check(f"gradient of {name}", gradient, expected[name])


@every_case
def test_positions_mask_and_angles_are_the_original_s(file: Path) -> None:
    oracle = read(file)
    config = ChatGLMConfig(**oracle.facts["config"])
    found = positions(oracle.tensors["input.input_ids"], config.bos_token_id)
    assert torch.equal(found, oracle.tensors["output.position_ids"])
    hidden = oracle.tensors["output.hidden_mask"][..., oracle.facts["method"]["prefix_length"] :]
    assert torch.equal(~visible(found, None), hidden)
    angles = "transformer.layers.0.attention.rotary_emb.inv_freq"
    built = ChatGLMForCausalLM(config).state_dict()[angles]
    assert torch.equal(built, oracle.tensors[f"backbone.{angles}"])


@every_case
def test_padding_on_the_left_is_inert(file: Path) -> None:
    """Embeddings, positions and mask given, as a prompt gives them."""
    oracle, front = read(file), 3
    model, _ = build(oracle)
    ids = oracle.tensors["input.input_ids"]
    text = ids != model.config.pad_token_id
    places = F.pad(positions(ids, model.config.bos_token_id), (front, 0))
    moved = model(
        inputs_embeds=model.transformer.word_embeddings(F.pad(ids, (front, 0))),
        attention_mask=F.pad(text, (front, 0)).long(),
        position_ids=places,
    ).logits
    torch.testing.assert_close(moved[:, front:][text], model(ids).logits[text])
