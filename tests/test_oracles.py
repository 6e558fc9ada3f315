"""Our modules against the numbers of the original codes (tests/oracles; their README explains).

`PTBENCH_ORACLES=<folder>` reads another folder of the same form.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import LSTM, MLP, Encoder, Table
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Classification, Head, Kind, Labelling
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.cloze import VerbalizerHead
from ptbench.kinds.labelling import TokenHead
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt

FOLDER = Path(os.environ.get("PTBENCH_ORACLES", Path(__file__).parent / "oracles"))
# the originals' names for parts of their prompt encoders, and ours
NAMED = (
    (r"^weight$", "embedding.weight"),
    (r"^(prompt_embeddings|wte)\.", "embedding."),
    (r"^(trans|control_trans)\.", "layers."),
    (r"^lstm_head\.", "lstm."),
    (r"^mlp_head\.", "mlp."),
)


def ours(name: str) -> str:
    """Our name of a prompt encoder's parameter."""
    for pattern, name_here in NAMED:
        name = re.sub(pattern, name_here, name)
    return name


@dataclass(frozen=True)
class Oracle:
    """One case: what went in and what came out, in one precision."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]
    dtype: torch.dtype

    @cached_property
    def tolerance(self) -> float:
        return self.facts["tolerance"][str(self.dtype).removeprefix("torch.")]

    def part(self, prefix: str, name: Callable[[str], str] = str) -> dict[str, Tensor]:
        """The tensors below a prefix, without it."""
        found = {k: v for k, v in self.tensors.items() if k.startswith(prefix)}
        return {name(key.removeprefix(prefix)): value for key, value in found.items()}

    def check(
        self,
        name: str,
        found: Tensor,
        expected: Tensor | None = None,
        where: Tensor | EllipsisType = ...,
    ) -> None:
        """Holds a tensor against the case's; a tensor that the case lacks is not compared."""
        expected = self.tensors.get(name) if expected is None else expected
        if expected is not None:
            found, expected = found[where], expected[where]
            error = (found.double() - expected).abs() / (1 + expected.abs())
            assert error.max() <= self.tolerance, f"{name} is off by {error.max():.2g}"

    def backbone(self) -> Backbone:
        kind = self.facts["backbone_class"]
        settings = dict(self.facts["config"])
        config = transformers.AutoConfig.for_model(
            settings.pop("model_type"), **settings, attn_implementation=NAMES["sdpa"]
        )
        model = getattr(transformers, kind)(config, **self.facts["backbone_arguments"])
        model.load_state_dict(self.part("backbone."))
        tokenizer = Random(Pooling.first, True, 4, 1, 1, 8).load().tokenizer
        if "LM" not in kind:
            has_pooler = getattr(model, "pooler", None) is not None
            pooling = Pooling.pooler if has_pooler else Pooling.first
            return Backbone(model, tokenizer, pooling, None)
        return Backbone(model.base_model, tokenizer, Pooling.first, lambda: model)

    @property
    def causal(self) -> bool:
        """Whether every token is answered by the LM head."""
        return "output.loss_per_sentence" in self.tensors

    def encoder(self) -> Encoder:
        """The original's prompt encoder, told by the names and shapes of its parameters."""
        state = self.part("prompt.", ours)
        length, inner = state["embedding.weight"].shape
        if "lstm.weight_hh_l0" in state:
            encoder: Encoder = LSTM(length, inner, state["lstm.weight_hh_l0"].shape[1])
        elif "layers.0.weight" in state:
            hidden, width = state["layers.0.weight"].shape[0], state["layers.2.weight"].shape[0]
            encoder = MLP(length, inner, hidden, width, nn.Tanh())
        else:
            encoder = Table(length, inner)
        encoder.load_state_dict(state)
        return encoder

    def prompt(self, backbone: Backbone) -> Prompt:
        if "output.prefix_kv_first_layer" in self.tensors:
            dropout = self.facts["method"]["prefix_dropout"]
            return LayerPrompt(backbone, self.encoder(), dropout, shifted=True)
        return InputPrompt(self.encoder(), embed_twice=self.facts["method"].get("head") is not None)

    def head(self, backbone: Backbone) -> tuple[Kind, Head]:
        if self.causal:
            return Labelling(("O",)), WordHead(backbone.lm_head)
        kind = self.facts["method"].get("head", "cloze")
        if kind == "cloze":
            vocabulary = list(range(backbone.words.num_embeddings))
            words = self.tensors.get("input.verbalizer_ids", torch.tensor(vocabulary)).flatten()
            return Classification(("?",), "{x}", "{x}"), VerbalizerHead(backbone, words.tolist())
        if kind not in ("sequence", "token"):
            pytest.skip(f"the head '{kind}' is not supported yet")
        labels = self.facts["config"]["num_labels"]
        token = kind == "token"
        head: Head = (TokenHead if token else PooledHead)(backbone, labels)
        head.load_state_dict(self.part("head."))
        return (Labelling(("O",)) if token else Classification(("?",), "{x}", "{x}")), head

    def compared(self, batch: Batch) -> Tensor | EllipsisType:
        """Where tokens are compared: DeBERTa's original gives padded queries no attention."""
        return batch.mask if "deberta" in self.facts["config"]["model_type"] else ...

    def batch(self) -> Batch:
        """The inputs in our form: pseudo tokens numbered, labels of padding ignored."""
        given = self.part("input.")
        ids = given["query_ids"] if "query_ids" in given else given["input_ids"]
        mask = given.get("attention_mask", torch.ones_like(ids)).bool()  # a decoder needs none
        types = given.get("token_type_ids", torch.zeros_like(ids))
        pseudo, answer = torch.zeros_like(mask), torch.full((len(ids),), -1)
        if "query_ids" in given:  # P-tuning v1, LAMA: an id behind the vocabulary
            pseudo = ids == self.facts["config"]["vocab_size"]
            answer, targets = (given["labels"] >= 0).int().argmax(1), given["answer_ids"]
        elif "block_flag" in given:  # P-tuning v1, few-shot
            pseudo, targets = given["block_flag"] == 1, given["labels"]
            answer = (given["mask_position"] == 1).int().argmax(1)
        else:
            targets = given["labels"]
            if "prompt.weight" in self.tensors:  # prompt tuning: rows in front of the text
                front = torch.zeros(len(ids), len(self.tensors["prompt.weight"]), dtype=torch.long)
                ids, types = torch.cat([front, ids], 1), torch.cat([front, types], 1)
                pseudo, mask = torch.cat([front == 0, pseudo], 1), torch.cat([front == 0, mask], 1)
        if self.causal:  # a place is answered by the next token
            targets = F.pad(targets[:, 1:], (0, 1), value=IGNORE)
        slots = torch.where(pseudo, pseudo.cumsum(1) - 1, -1)
        targets = targets.masked_fill(~mask, IGNORE) if targets.ndim == 2 else targets[:, None]
        return Batch(ids.where(~pseudo, 0), mask, types, slots, answer, targets)


class WordHead(Head):
    """The LM head at every place."""

    name = "words"

    def forward(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        assert self.pretrained is not None
        return self.pretrained(hidden)


FILES = sorted(FOLDER.glob("*.json"))
# ChatGLM is not in transformers; test_chatglm.py has a model for it
KNOWN = [
    file for file in FILES if json.loads(file.read_text())["config"]["model_type"] != "chatglm"
]


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
def test_equals_the_original(file: Path, dtype: torch.dtype) -> None:
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
    logits = model(batch)
    # prefix-tuning's loss on GPT-2 is a sentence's sum, others' the mean over targets
    count = len(batch.ids) if oracle.causal else (batch.targets != IGNORE).sum()
    loss = kind.loss(logits, batch) / count
    loss.backward()
    cloze = {"output.answer_logits", "output.class_logits"} & oracle.tensors.keys()
    where = oracle.compared(batch) if logits.ndim == 3 else ...
    oracle.check(cloze.pop() if cloze else "output.logits", logits, where=where)
    oracle.check("output.loss", loss)

    expected = oracle.part("grad.prompt.", ours)
    found = {n: p.grad for n, p in oracle_parameters(prompt, "encoder.") if p.grad is not None}
    assert expected.keys() == found.keys()
    expected |= oracle.part("grad.head.")
    new = {n: p.grad for n, p in oracle_parameters(head, "") if "pretrained." not in n}
    found |= {name: gradient for name, gradient in new.items() if gradient is not None}
    assert expected.keys() == found.keys()
    for name, gradient in found.items():
        oracle.check(f"gradient of {name}", gradient, expected[name])
    check_backbone(oracle, model)


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


def oracle_parameters(module: nn.Module, prefix: str) -> list[tuple[str, nn.Parameter]]:
    return [(name.removeprefix(prefix), p) for name, p in module.named_parameters()]


def check_prompt(oracle: Oracle, prompt: Prompt, backbone: Backbone, batch: Batch) -> None:
    """What the prompt makes, where the text stands, and what the backbone makes of both."""
    inputs = prompt(batch, backbone)
    if isinstance(prompt, LayerPrompt):
        for layer, name in ((0, "first"), (-1, "last")):
            entry = prompt.prefix(1)[layer]
            assert entry is not None
            found = torch.stack([entry.key, entry.value])
            oracle.check(f"output.prefix_kv_{name}_layer", found)
    assert prompt.encoder is not None
    oracle.check("output.prompt_rows", prompt.encoder())
    if "head" not in oracle.facts["method"]:
        oracle.check("output.inputs_embeds", inputs.embeds)
    second = oracle.tensors.get("output.position_ids_second_pass")
    positions = oracle.tensors.get("output.position_ids") if second is None else second
    if positions is not None:
        assert torch.equal(inputs.positions, positions.expand_as(inputs.positions))
    hidden, where = backbone(inputs), oracle.compared(batch)
    oracle.check("output.last_hidden_state", hidden, where=where)
    if backbone.has_lm_head:
        oracle.check("output.logits", backbone.lm_head(hidden), where=where)
