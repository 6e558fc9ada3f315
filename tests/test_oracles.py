"""Our modules against the numbers of the original codes (tests/oracles; their README explains).

`PTBENCH_ORACLES=<folder>` reads another folder of the same form.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ptbench.attention import Site
from ptbench.backbones import Backbone
from ptbench.inputs import Batch
from ptbench.method import Adapted
from ptbench.prompts import LayerPrompt, Prompt
from tests.originals import Oracle, ours

FOLDER = Path(os.environ.get("PTBENCH_ORACLES", Path(__file__).parent / "oracles"))
FILES = sorted(FOLDER.glob("*.json"))
# ChatGLM is not in transformers; test_chatglm.py has a model for it
KNOWN = [
    file for file in FILES if json.loads(file.read_text())["config"]["model_type"] != "chatglm"
]
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
@PRECISIONS
def test_equals_the_original(file: Path, dtype: torch.dtype) -> None:
    hold(file, dtype)


def hold(file: Path, dtype: torch.dtype) -> None:
    """Holds our logits, loss, gradients and what lies between against a case's."""
    oracle = Oracle(
        json.loads(file.read_text()), load_file(file.with_suffix(".safetensors")), dtype
    )
    backbone, batch = oracle.backbone(), oracle.batch()
    kind, head = oracle.head(backbone)
    prompt = oracle.prompt(backbone)
    frozen = not oracle.part("grad.backbone.")
    model = Adapted(kind, backbone, prompt, head, frozen=frozen, backbone_dropout=True)
    model.to(dtype).eval()

    check_prompt(oracle, prompt, backbone, batch)
    logits, trained = model(batch), oracle.trained(batch)
    loss = oracle.loss(kind, logits if trained is batch else model(trained), trained)
    loss.backward()
    check_logits(oracle, logits, batch)
    oracle.check("output.loss", loss)

    expected = oracle.part("grad.prompt.", oracle.named)
    found = {n: p.grad for n, p in parameters(prompt, "encoder.") if p.grad is not None}
    assert expected.keys() == found.keys()
    expected |= oracle.part("grad.head.", ours)
    new = {n: p.grad for n, p in parameters(head, "") if "pretrained." not in n}
    found |= {name: gradient for name, gradient in new.items() if gradient is not None}
    assert expected.keys() == found.keys()
    for name, gradient in found.items():
        oracle.check(f"gradient of {name}", gradient, expected[name])
    check_backbone(oracle, model)


def check_logits(oracle: Oracle, logits: Tensor, batch: Batch) -> None:
    """Logits of texts, tokens or words, or a span's of starts and ends."""
    cloze = {"output.answer_logits", "output.class_logits"} & oracle.tensors.keys()
    where = oracle.compared(batch) if logits.ndim == 3 else ...
    if "output.start_logits" in oracle.tensors:
        for end, name in enumerate(("start", "end")):
            oracle.check(f"output.{name}_logits", logits[..., end], where=where)
    assert cloze or {"output.logits", "output.start_logits"} & oracle.tensors.keys()
    oracle.check(cloze.pop() if cloze else "output.logits", logits, where=where)


def check_backbone(oracle: Oracle, model: Adapted) -> None:
    """A frozen backbone has no gradient, a tuned one the original's."""
    expected = oracle.part("grad.backbone.")
    if not expected:
        assert all(parameter.grad is None for parameter in model.pretrained())
        return
    language_model = model.backbone.lm_head.model
    prefix = language_model.base_model_prefix
    found = {f"{prefix}.{n}": p.grad for n, p in model.backbone.model.named_parameters()}
    found |= {n: p.grad for n, p in language_model.named_parameters()}
    tied = [found[name] for name in expected]  # a tied weight goes by its first name
    more = {n: g for n, g in found.items() if g is not None and all(g is not t for t in tied)}
    assert not any(gradient.any() for gradient in more.values()), more.keys()
    for name, gradient in expected.items():
        oracle.check(f"gradient of {name}", found[name], gradient)


def parameters(module: nn.Module, prefix: str) -> list[tuple[str, nn.Parameter]]:
    return [(name.removeprefix(prefix), p) for name, p in module.named_parameters()]


def check_prompt(oracle: Oracle, prompt: Prompt, backbone: Backbone, batch: Batch) -> None:
    """What the prompt makes, where the text stands, and what the backbone makes of both."""
    inputs = prompt(batch, backbone)
    if isinstance(prompt, LayerPrompt):
        check_prefix(oracle, prompt, backbone)
    assert prompt.encoder is not None
    oracle.check("output.prompt_rows", prompt.encoder())
    if not oracle.in_front:
        oracle.check("output.inputs_embeds", inputs.embeds)
    second = oracle.tensors.get("output.position_ids_second_pass")
    positions = oracle.tensors.get("output.position_ids") if second is None else second
    where = oracle.compared(batch)
    if positions is not None and not backbone.two_stacks:  # which counts its places itself
        expected = positions.expand_as(inputs.positions)
        assert torch.equal(inputs.positions[where], expected[where])
    hidden = backbone(inputs)
    oracle.check("output.last_hidden_state", hidden, where=where)
    if backbone.has_lm_head:
        oracle.check("output.logits", backbone.lm_head(hidden), where=where)


def check_prefix(oracle: Oracle, prompt: LayerPrompt, backbone: Backbone) -> None:
    """Keys and values of the first and the last layer, of every site that the case has."""
    entries = prompt.prefix(1)
    for name in oracle.part("output.prefix_kv_"):
        site = Site.decoder if backbone.two_stacks else Site.self
        if "cross" in name or "encoder_decoder" in name:
            site = Site.cross
        elif "enc" in name:
            site = Site.encoder
        calls = [
            e for e, c in zip(entries, backbone.injection.calls, strict=True) if c.site is site
        ]
        entry = calls[-1 if "last" in name else 0]
        assert entry is not None
        oracle.check(f"output.prefix_kv_{name}", torch.stack([entry.key, entry.value]))
