"""The reader of oracle files on forms of which no file is at hand, made by plain tensor algebra.

`python -m tests.test_oracle_forms <folder>` writes the files, for `PTBENCH_ORACLES=<folder>`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests import plain
from tests.test_oracles import PRECISIONS, hold

Tensors = dict[str, Tensor]
LAYERS, HEADS, WIDTH, WORDS, LENGTH = 3, 2, 12, 50, 4
BERT = {
    "model_type": "bert",
    "vocab_size": WORDS,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
}
BART = {
    "model_type": "bart",
    "vocab_size": WORDS,
    "d_model": WIDTH,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
RAGGED = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 8 + [0]])


def draw(*shape: int) -> Tensor:
    """Numbers of a wide spread that float32 holds exactly."""
    return (torch.randn(*shape) * 0.4).float().double()


def ids(*shape: int) -> Tensor:
    return torch.randint(5, WORDS, shape)


def weights(kind: str, config: dict[str, Any], **arguments: Any) -> Tensors:
    """A backbone's parameters, drawn anew; from transformers come the names and shapes alone."""
    settings = {k: v for k, v in config.items() if k != "model_type"}
    built = transformers.AutoConfig.for_model(config["model_type"], **settings)
    state = getattr(transformers, kind)(built, **arguments).state_dict()
    drawn = {name: draw(*t.shape) for name, t in state.items() if t.is_floating_point()}
    named = [name for name in drawn if name.endswith(("embed_tokens.weight", "lm_head.weight"))]
    drawn.update({name: drawn["model.shared.weight"] for name in named})  # tied
    if "cls.predictions.decoder.weight" in drawn:
        for name, first in (
            ("decoder.weight", "bert.embeddings.word_embeddings.weight"),
            ("decoder.bias", "cls.predictions.bias"),
        ):
            drawn[f"cls.predictions.{name}"] = drawn[first]
    if "final_logits_bias" in drawn:
        drawn["final_logits_bias"].zero_()
    return drawn


def below(tensors: Tensors, prefix: str) -> Tensors:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def mlp(tensors: Tensors, rows: str, layers: str) -> Tensor:
    """The rows of a tanh encoder."""
    inner = plain.linear(tensors, f"{layers}.0", tensors[rows]).tanh()
    return plain.linear(tensors, f"{layers}.2", inner)


def encoder(rows: str, layers: str, width: int) -> Tensors:
    """Parameters of a tanh encoder with 7 hidden units, under the original's names."""
    shapes = {
        f"{rows}": (LENGTH, WIDTH),
        f"{layers}.0.weight": (7, WIDTH),
        f"{layers}.0.bias": (7,),
        f"{layers}.2.weight": (width, 7),
        f"{layers}.2.bias": (width,),
    }
    return {f"prompt.{name}": draw(*shape) for name, shape in shapes.items()}


def span() -> tuple[dict[str, Any], Tensors, Callable[[Tensors], Tensors]]:
    """P-tuning v2 on question answering: one start and one end lie beyond the text."""
    tensors = {f"backbone.{n}": t for n, t in weights("BertModel", BERT).items()}
    tensors |= {"prompt.embedding.weight": draw(LENGTH, 2 * LAYERS * WIDTH)}
    tensors |= {"head.qa_outputs.weight": draw(2, WIDTH), "head.qa_outputs.bias": draw(2)}
    tensors |= {"input.input_ids": ids(3, 9), "input.attention_mask": RAGGED}
    tensors |= {"input.token_type_ids": (torch.arange(9) > 3).long().repeat(3, 1)}
    tensors |= {"input.start_positions": torch.tensor([2, 0, 12])}
    tensors |= {"input.end_positions": torch.tensor([3, 9, 11])}

    def compute(t: Tensors) -> Tensors:
        prefix = plain.pairs(t["prompt.embedding.weight"], LAYERS, HEADS)
        w = below(t, "backbone.")
        words = w["embeddings.word_embeddings.weight"][t["input.input_ids"]]
        mask, types = t["input.attention_mask"], t["input.token_type_ids"]
        hidden = plain.bert(w, words, mask, types, prefix, LENGTH)
        start, end = plain.linear(below(t, "head."), "qa_outputs", hidden).unbind(-1)
        losses = [
            F.cross_entropy(scores, places.clamp(0, 9), ignore_index=9)
            for scores, places in (
                (start, t["input.start_positions"]),
                (end, t["input.end_positions"]),
            )
        ]
        found = {"start_logits": start, "end_logits": end, "last_hidden_state": hidden}
        found |= {"position_ids": torch.arange(LENGTH, LENGTH + 9)[None]}
        first, last = (torch.stack(prefix[i])[:, None] for i in (0, -1))
        found |= {"prefix_kv_first_layer": first, "prefix_kv_last_layer": last}
        return found | {"loss": (losses[0] + losses[1]) / 2}

    method = {"head": "question answering", "prefix_length": LENGTH, "prefix_dropout": 0.2}
    return {"backbone_class": "BertModel", "config": BERT, "method": method}, tensors, compute


def choice() -> tuple[dict[str, Any], Tensors, Callable[[Tensors], Tensors]]:
    """P-tuning v2 on two examples of three choices each, with a projection."""
    tensors = {f"backbone.{n}": t for n, t in weights("BertModel", BERT).items()}
    tensors |= encoder("embedding.weight", "trans", 2 * LAYERS * WIDTH)
    tensors |= {"head.classifier.weight": draw(1, WIDTH), "head.classifier.bias": draw(1)}
    tensors |= {"input.input_ids": ids(2, 3, 9), "input.labels": torch.tensor([2, 0])}
    tensors |= {"input.attention_mask": torch.stack([RAGGED, RAGGED.flip(0)])}
    tensors |= {"input.token_type_ids": (torch.arange(9) > 3).long().repeat(2, 3, 1)}

    def compute(t: Tensors) -> Tensors:
        table = mlp(below(t, "prompt."), "embedding.weight", "trans")
        w = below(t, "backbone.")
        words = w["embeddings.word_embeddings.weight"][t["input.input_ids"].flatten(0, 1)]
        mask, types = (t[f"input.{n}"].flatten(0, 1) for n in ("attention_mask", "token_type_ids"))
        prefix = plain.pairs(table, LAYERS, HEADS)
        hidden = plain.bert(w, words, mask, types, prefix, LENGTH)
        pooled = plain.linear(w, "pooler.dense", hidden[:, 0]).tanh()
        logits = plain.linear(below(t, "head."), "classifier", pooled).view(2, 3)
        loss = F.cross_entropy(logits, t["input.labels"])
        return {"logits": logits, "pooled": pooled, "last_hidden_state": hidden, "loss": loss}

    method = {"head": "multiple choice", "prefix_length": LENGTH, "prefix_dropout": 0.1}
    return {"backbone_class": "BertModel", "config": BERT, "method": method}, tensors, compute


def encoder_decoder() -> tuple[dict[str, Any], Tensors, Callable[[Tensors], Tensors]]:
    """Prefix-tuning on BART: an encoder for each of three sites, padding in both texts."""
    kind = "BartForConditionalGeneration"
    tensors = {f"backbone.{n}": t for n, t in weights(kind, BART).items()}
    for end in ("", "2", "_enc"):
        tensors |= encoder(f"wte{end}.weight", f"control_trans{end}", 2 * LAYERS * WIDTH)
    labels = ids(3, 7)
    labels[1, 4:] = labels[2, 6:] = 1
    read = F.pad(labels[:, :-1], (1, 0), value=2)
    tensors |= {"input.input_ids": ids(3, 9), "input.attention_mask": RAGGED}
    tensors |= {"input.decoder_input_ids": read, "input.labels": labels}

    def compute(t: Tensors) -> Tensors:
        sites = {"decoder": "", "cross": "2", "encoder": "_enc"}
        own = below(t, "prompt.")
        tables = {s: mlp(own, f"wte{e}.weight", f"control_trans{e}") for s, e in sites.items()}
        prefix = {site: plain.pairs(table, LAYERS, HEADS) for site, table in tables.items()}
        w, mask = below(t, "backbone.model."), t["input.attention_mask"]
        read = t["input.decoder_input_ids"]
        hidden = plain.bart(w, t["input.input_ids"], mask, read, prefix)
        logits = hidden @ w["shared.weight"].T
        labels = t["input.labels"]
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=1)
        found = {"logits": logits, "last_hidden_state": hidden, "loss": loss}
        for site, name in (("decoder", ""), ("cross", "cross_"), ("encoder", "encoder_")):
            for layer, at in ((0, "first"), (-1, "last")):
                found[f"prefix_kv_{name}{at}_layer"] = torch.stack(prefix[site][layer])[:, None]
        return found

    method = {"name": "prefix-tuning", "prefix_length": LENGTH, "prefix_dropout": 0.0}
    return {"backbone_class": kind, "config": BART, "method": method}, tensors, compute


def template() -> tuple[dict[str, Any], Tensors, Callable[[Tensors], Tensors]]:
    """P-tuning v1 on LAMA with the template (2, 1, 0): a full stop stands for the third part."""
    tensors = {f"backbone.{n}": t for n, t in weights("BertForMaskedLM", BERT).items()}
    lstm = nn.LSTM(WIDTH, WIDTH // 2, 2, bidirectional=True, batch_first=True).double()
    tensors |= {f"prompt.lstm_head.{n}": draw(*p.shape) for n, p in lstm.named_parameters()}
    tensors |= {f"prompt.mlp_head.{n}.weight": draw(WIDTH, WIDTH) for n in (0, 2)}
    tensors |= {f"prompt.mlp_head.{n}.bias": draw(WIDTH) for n in (0, 2)}
    tensors |= {"prompt.embedding.weight": draw(3, WIDTH)}
    pad, cls, sep, mask, stop, pseudo = 0, 2, 3, 4, 5, WORDS
    rows = [[cls, pseudo, pseudo, mask, pseudo, 7, 8, stop, sep]]
    rows += [[cls, pseudo, pseudo, mask, pseudo, 9, stop, sep, pad]]
    query, answers = torch.tensor(rows), torch.tensor([11, 12])
    labels = torch.where(query == mask, answers[:, None], -100)
    tensors |= {"input.query_ids": query, "input.attention_mask": (query != pad).long()}
    tensors |= {"input.labels": labels, "input.answer_ids": answers}

    def compute(t: Tensors) -> Tensors:
        own = below(t, "prompt.")
        state = below(own, "lstm_head.")
        inner = torch.func.functional_call(lstm, state, own["embedding.weight"][None])[0][0]
        inner = plain.linear(own, "mlp_head.0", inner).relu()
        prompt = plain.linear(own, "mlp_head.2", inner)
        w, query = below(t, "backbone."), t["input.query_ids"]
        words = w["bert.embeddings.word_embeddings.weight"][query.clamp(max=WORDS - 1)]
        words = torch.stack(
            [
                torch.stack([*map(_taken(prompt), row, text)])
                for row, text in zip(query.tolist(), words, strict=True)
            ]
        )
        mask = t["input.attention_mask"]
        hidden = plain.bert(
            below(w, "bert."), words, mask, torch.zeros_like(query), [None] * LAYERS, 0
        )
        logits = plain.fill_in(w, hidden)
        answers = logits[t["input.labels"] >= 0]
        loss = F.cross_entropy(answers, t["input.answer_ids"])
        found = {"prompt_rows": prompt, "inputs_embeds": words, "logits": logits}
        return found | {"answer_logits": answers, "loss": loss}

    one_head = {**BERT, "num_attention_heads": 1}
    method = {"name": "P-tuning v1, LAMA", "template": [2, 1, 0]}
    return (
        {"backbone_class": "BertForMaskedLM", "config": one_head, "method": method},
        tensors,
        compute,
    )


def _taken(prompt: Tensor) -> Callable[[int, Tensor], Tensor]:
    """The prompt's rows for pseudo tokens, in reading order, and the text for all others."""
    rows = iter(prompt)
    return lambda token, text: next(rows) if token == WORDS else text


FORMS = {"span": span, "choice": choice, "encoder_decoder": encoder_decoder, "template": template}


def write(folder: Path, name: str) -> Path:
    """A case of a form as its two files: inputs, outputs, loss and gradients."""
    torch.manual_seed(sum(map(ord, name)))
    facts, tensors, compute = FORMS[name]()
    trained = [n for n in tensors if n.startswith(("prompt.", "head."))]
    for n in trained:
        tensors[n].requires_grad_()
    found = compute(tensors)
    found["loss"].backward()
    stored = {n: t.detach() for n, t in tensors.items()}
    stored |= {f"output.{n}": t.detach() for n, t in found.items()}
    stored |= {f"grad.{n}": tensors[n].grad for n in trained if tensors[n].grad is not None}
    save_file(
        {n: t.clone().contiguous() for n, t in stored.items()}, folder / f"{name}.safetensors"
    )
    facts |= {"backbone_arguments": {}, "tolerance": {"float64": 1e-9, "float32": 1e-5}}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(facts))
    return file


@pytest.mark.parametrize("name", FORMS)
@PRECISIONS
def test_a_case_of_each_form_is_held(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    hold(write(tmp_path, name), dtype)


@pytest.mark.parametrize("name", FORMS)
def test_a_wrong_number_anywhere_is_found(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, name)
    stored = file.with_suffix(".safetensors")
    tensors = load_file(stored)
    for wrong in (n for n in tensors if n.startswith(("output.", "grad."))):
        if wrong in ("output.pooled",):  # that the pooler is right is seen by the logits
            continue
        changed = tensors[wrong].clone()
        changed.view(-1)[0] += 1
        save_file({**tensors, wrong: changed}, stored)
        with pytest.raises(AssertionError):
            hold(file, torch.float64)


if __name__ == "__main__":
    for form in FORMS:
        write(Path(sys.argv[1]), form)
