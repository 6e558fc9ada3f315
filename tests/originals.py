"""Cases of the originals' numbers in our form: a backbone, a prompt, a head and a batch of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from types import EllipsisType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from ptbench.attention import NAMES, Site
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import LSTM, MLP, Encoder, Joined, Table
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Choice, Classification, Head, Kind, Labelling, Span
from ptbench.kinds.choice import ChoiceHead
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.cloze import VerbalizerHead
from ptbench.kinds.labelling import TokenHead
from ptbench.kinds.span import SpanHead
from ptbench.models import Random
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt

# the originals' names for parts of their prompt encoders and heads, and ours
NAMED = (
    (r"^weight$", "embedding.weight"),
    (r"^(prompt_embeddings|wte)\.", "embedding."),
    (r"^(trans|control_trans)\.", "layers."),
    (r"^lstm_head\.", "lstm."),
    (r"^mlp_head\.", "mlp."),
    (r"^qa_outputs\.", "classifier."),
)
# prefix-tuning's code for BART tells its three encoders by the ends of these names
SITES = {"_enc": Site.encoder, "": Site.decoder, "2": Site.cross}
OF_A_SITE = re.compile(r"^(wte|control_trans)(_enc|2|)\.")
PLAIN = Classification(("?",), "{x}", "{x}")


def ours(name: str) -> str:
    """Our name of a parameter."""
    for pattern, name_here in NAMED:
        name = re.sub(pattern, name_here, name)
    return name


def encoder_of(state: dict[str, Tensor]) -> Encoder:
    """An encoder of the form that the names and shapes of its parameters tell."""
    length, inner = state["embedding.weight"].shape
    if "lstm.weight_hh_l0" in state:
        return LSTM(length, inner, state["lstm.weight_hh_l0"].shape[1])
    if "layers.0.weight" in state:
        hidden, width = state["layers.0.weight"].shape[0], state["layers.2.weight"].shape[0]
        return MLP(length, inner, hidden, width, nn.Tanh())
    return Table(length, inner)


class WordHead(Head):
    """The LM head at every place."""

    name = "words"

    def forward(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        assert self.pretrained is not None
        return self.pretrained(hidden)


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

    @property
    def causal(self) -> bool:
        """Whether a decoder's every token is answered by the LM head."""
        return "output.loss_per_sentence" in self.tensors

    @property
    def in_front(self) -> bool:
        """Whether the prompt is rows in front of the text: the baseline of P-tuning v2's code."""
        return "prompt.weight" in self.tensors

    @property
    def two_stacks(self) -> bool:
        return "ConditionalGeneration" in self.facts["backbone_class"]

    def named(self, name: str) -> str:
        """Our name of a prompt encoder's parameter, one of several where sites have their own."""
        site = OF_A_SITE.match(name)
        if not self.two_stacks or site is None:
            return ours(name)
        order = [s for s in Site if s in SITES.values()].index(SITES[site[2]])
        return f"parts.{order}.{ours(f'{site[1]}.{name[site.end() :]}')}"

    def backbone(self) -> Backbone:
        kind = self.facts["backbone_class"]
        settings = dict(self.facts["config"])
        if "input.decoder_input_ids" in self.tensors:
            settings["decoder_start_token_id"] = int(self.tensors["input.decoder_input_ids"][0, 0])
        config = transformers.AutoConfig.for_model(
            settings.pop("model_type"), **settings, attn_implementation=NAMES["sdpa"]
        )
        model = getattr(transformers, kind)(config, **self.facts["backbone_arguments"])
        loaded = model.load_state_dict(self.part("backbone."), strict=False)
        assert not loaded.unexpected_keys
        assert not {name for name, _ in model.named_parameters()} & set(loaded.missing_keys)
        tokenizer = Random(Pooling.first, True, 4, 1, 1, 8).load().tokenizer
        if "LM" not in kind and not self.two_stacks:
            has_pooler = getattr(model, "pooler", None) is not None
            pooling = Pooling.pooler if has_pooler else Pooling.first
            return Backbone(model, tokenizer, pooling, None)
        return Backbone(model.base_model, tokenizer, Pooling.first, lambda: model)

    def encoder(self) -> Encoder:
        """The original's prompt encoder, or its encoders side by side."""
        state = self.part("prompt.", self.named)
        numbers = sorted({name.split(".")[1] for name in state if name.startswith("parts.")})
        parts = [
            {n.removeprefix(f"parts.{i}."): t for n, t in state.items() if f"parts.{i}." in n}
            for i in numbers
        ]
        encoder = Joined([encoder_of(part) for part in parts]) if parts else encoder_of(state)
        encoder.load_state_dict(state)
        return encoder

    def prompt(self, backbone: Backbone) -> Prompt:
        encoder = self.encoder()
        if encoder.width == LayerPrompt.width(backbone):
            dropout = self.facts["method"]["prefix_dropout"]
            return LayerPrompt(backbone, encoder, dropout, shifted=True)
        return InputPrompt(encoder, embed_twice=self.in_front)

    def head(self, backbone: Backbone) -> tuple[Kind, Head]:
        if self.causal or self.two_stacks:
            return Labelling(("O",)), WordHead(backbone.lm_head)
        state = self.part("head.", ours)
        if not state:
            vocabulary = list(range(backbone.words.num_embeddings))
            words = self.tensors.get("input.verbalizer_ids", torch.tensor(vocabulary)).flatten()
            return PLAIN, VerbalizerHead(backbone, words.tolist())
        kind, head = self._new_head(backbone, len(state["classifier.weight"]))
        if state.keys() != head.state_dict().keys():
            pytest.skip(f"a head of {', '.join(state)} is not supported")
        head.load_state_dict(state)
        return kind, head

    def _new_head(self, backbone: Backbone, labels: int) -> tuple[Kind, Head]:
        """The kind and its head, told by what was answered: spans, choices, tokens, or texts."""
        if "input.start_positions" in self.tensors:
            return Span(), SpanHead(backbone)
        if self.tensors["input.input_ids"].ndim == 3:
            return Choice(("?",), "{x}", "{x}"), ChoiceHead(backbone)
        if self.tensors["input.labels"].ndim == 2:
            return Labelling(("O",)), TokenHead(backbone, labels)
        return PLAIN, PooledHead(backbone, labels)

    def compared(self, batch: Batch) -> Tensor | EllipsisType:
        """Where tokens are compared.

        DeBERTa's original gives padded queries no attention, BART's hides padding from them, and
        RoBERTa's baseline with rows in front counts padding as tokens.
        """
        if batch.written is not None:
            return batch.targets != IGNORE
        kind = self.facts["config"]["model_type"]
        return batch.mask if "deberta" in kind or ("roberta" in kind and self.in_front) else ...

    def batch(self) -> Batch:
        """The inputs in our form: pseudo tokens numbered, labels of padding ignored."""
        given = self.part("input.")
        ids = given["query_ids"] if "query_ids" in given else given["input_ids"]
        mask = given.get("attention_mask", torch.ones_like(ids)).bool()  # a decoder needs none
        types = given.get("token_type_ids", torch.zeros_like(ids))
        sizes = (ids.shape[1],) * len(ids) if ids.ndim == 3 else ()
        ids, mask, types = (t.flatten(0, -2) for t in (ids, mask, types))
        pseudo, answer = torch.zeros_like(mask), torch.full((len(ids),), -1)
        targets = self._targets(given)
        if "query_ids" in given:  # P-tuning v1, LAMA: an id behind the vocabulary
            pseudo = ids == self.facts["config"]["vocab_size"]
            answer = (given["labels"] >= 0).int().argmax(1)
        elif "block_flag" in given:  # P-tuning v1, few-shot
            pseudo = given["block_flag"] == 1
            answer = (given["mask_position"] == 1).int().argmax(1)
        elif self.in_front:
            front = torch.zeros(len(ids), len(self.tensors["prompt.weight"]), dtype=torch.long)
            ids, types = torch.cat([front, ids], 1), torch.cat([front, types], 1)
            pseudo, mask = torch.cat([front == 0, pseudo], 1), torch.cat([front == 0, mask], 1)
        written = self._written(given) if self.two_stacks else None
        if targets.shape == mask.shape and written is None:
            targets = targets.masked_fill(~mask, IGNORE)
        slots = torch.where(pseudo, pseudo.cumsum(1) - 1, -1)
        ids = ids.where(~pseudo, 0)
        return Batch(ids, mask, types, slots, answer, targets, written=written, sizes=sizes)

    def _targets(self, given: dict[str, Tensor]) -> Tensor:
        """What is answered: the word at the mask, a span's ends, or labels of texts or tokens."""
        if "start_positions" in given:  # those beyond the text are ignored
            ends = torch.stack([given["start_positions"], given["end_positions"]], 1)
            return ends.masked_fill((ends < 0) | (ends >= given["input_ids"].shape[1]), IGNORE)
        labels = given.get("answer_ids", given["labels"])
        if self.causal:  # a place is answered by the next token
            return F.pad(labels[:, 1:], (0, 1), value=IGNORE)
        if self.two_stacks and not (labels == IGNORE).any():  # the code ignores padding by its id
            labels = labels.masked_fill(labels == self.facts["config"]["pad_token_id"], IGNORE)
        return labels if labels.ndim == 2 else labels[:, None]

    def _written(self, given: dict[str, Tensor]) -> Tensor:
        """What a decoder writes behind the token that starts; the last of it enters nowhere."""
        if "decoder_input_ids" in given:
            return F.pad(given["decoder_input_ids"][:, 1:], (0, 1))
        return given["labels"].clamp(min=0)

    def trained(self, batch: Batch) -> Batch:
        """The batch whose loss is trained: GPT's LAMA code answers one place before it looks."""
        if "query_ids" in self.part("input.") and "LMHead" in self.facts["backbone_class"]:
            return replace(batch, answer=batch.answer - 1)
        return batch

    def loss(self, kind: Kind, logits: Tensor, batch: Batch) -> Tensor:
        """The kind's loss, reduced as the original reduces it."""
        if self.causal:  # prefix-tuning on GPT-2: a sentence's sum
            return kind.loss(logits, batch) / len(batch.ids)
        if not isinstance(kind, Span):
            return kind.loss(logits, batch) / (batch.targets != IGNORE).sum()
        # the original counts padding among the places of a span, and starts and ends apart
        batch = replace(batch, mask=torch.ones_like(batch.mask))
        start, end = torch.tensor([[True, False]]), torch.tensor([[False, True]])
        alone = [batch.targets.masked_fill(~column, IGNORE) for column in (start, end)]
        losses = [kind.loss(logits, replace(batch, targets=t)) / (t != IGNORE).sum() for t in alone]
        return (losses[0] + losses[1]) / 2
