"""Whether PEFT computes what ptbench computes, with the same weights.

Logits and gradients of prefixes and of rows of embeddings, made by a table, an MLP or an LSTM, on
tiny random models in both libraries; then PEFT's answers from folders that `ptbench export` wrote.
PEFT 0.21.2 needs transformers below 5.24, so this runs in an environment of its own:

    python -m venv .peft && .peft/bin/pip install -e . peft==0.21.2 transformers==5.23.0
    .peft/bin/python benchmarks/peft_parity.py
"""

import json
import platform
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft_folders import DECODERS, FAMILIES, METHODS, TOKENIZER, asked, configured, drawn, exported
from torch import Tensor, nn

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import LSTM, MLP, Encoder, Table
from ptbench.inputs import Batch
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.labelling import TokenHead
from ptbench.lm_head import LMHead
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt

LENGTH, HIDDEN, LABELS, LENGTHS = 3, 16, 4, (9, 5)
BOUNDS = {"float64": 1e-9, "float32": 1e-5}
AUTO = {
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
}
PROMPTS = {
    "prefix, table": {"peft_type": "PREFIX_TUNING"},
    "prefix, MLP": {"peft_type": "PREFIX_TUNING", "prefix_projection": True},
    "rows, table": {"peft_type": "PROMPT_TUNING"},
    "rows, LSTM": {"peft_type": "P_TUNING", "encoder_reparameterization_type": "LSTM"},
}
RENAMED = (("transform", "layers"), ("lstm_head", "lstm"), ("mlp_head", "mlp"))


def theirs(family: str, prompt: str, task: str, dtype: torch.dtype) -> Any:
    """PEFT's model: a random base, with a random prompt and head."""
    torch.manual_seed(0)
    base = drawn(AUTO[task].from_config(configured(family, num_labels=LABELS)), 0.2).to(dtype)
    width = {"encoder_hidden_size": HIDDEN} if "table" not in prompt else {}
    config = peft.get_peft_config(
        {**PROMPTS[prompt], "task_type": task, "num_virtual_tokens": LENGTH, **width}
    )
    model = peft.get_peft_model(base, config)
    drawn(model.prompt_encoder, 0.5)
    return model.to(dtype).eval()


def encoder(prompt: str, width: int, inner: int) -> Encoder:
    """Our encoder of the same form."""
    if prompt.endswith("MLP"):
        return MLP(LENGTH, inner, HIDDEN, width, nn.Tanh())
    return LSTM(LENGTH, width, HIDDEN) if prompt.endswith("LSTM") else Table(LENGTH, width)


def ours(family: str, name: str, task: str, their: Any) -> tuple[Backbone, Prompt, nn.Module]:
    """Our backbone, prompt and head with the weights of PEFT's model."""
    base = their.get_base_model()
    body = getattr(base, base.base_model_prefix)
    config = configured(family, attn_implementation=NAMES["sdpa"])
    model = transformers.AutoModel.from_config(config, dtype=body.dtype).eval()
    model.load_state_dict(body.state_dict(), strict=False)
    if task == "SEQ_CLS" and body.pooler is None:  # RoBERTa's stands in its classifier
        model.pooler.dense.load_state_dict(linears(base)[0].state_dict())
    backbone = Backbone(model, TOKENIZER, Pooling.pooler, None).requires_grad_(False)
    if name.startswith("prefix"):
        made = encoder(name, LayerPrompt.width(backbone), their.peft_config["default"].token_dim)
        prompt: Prompt = LayerPrompt(backbone, made, dropout=0.0, shifted=True)
    else:
        made = encoder(name, backbone.words.embedding_dim, 0)
        prompt = InputPrompt(made)
    state = their.prompt_encoder["default"].state_dict()
    for old, new in RENAMED:
        state = {key.replace(old, new): tensor for key, tensor in state.items()}
    made.to(body.dtype).load_state_dict(state)
    if task == "CAUSAL_LM":
        whole = AUTO[task].from_config(base.config, dtype=body.dtype).requires_grad_(False)
        whole.load_state_dict(base.state_dict())
        return backbone, prompt, LMHead(whole, model)
    head = (PooledHead if task == "SEQ_CLS" else TokenHead)(backbone, LABELS).to(body.dtype).eval()
    head.classifier.load_state_dict(linears(base)[-1].state_dict())
    return backbone, prompt, head


def linears(base: Any) -> list[nn.Linear]:
    """The linear layers that PEFT trains beside the prompt."""
    (place,) = {"classifier", "score"} & set(base._modules)
    trained = base.get_submodule(place).modules_to_save["default"]
    return [module for module in trained.modules() if isinstance(module, nn.Linear)]


def padded(types: bool, front: int) -> Batch:
    """Random texts of unequal length; `front` places for pseudo tokens before them."""
    rows, width = len(LENGTHS), front + max(LENGTHS)
    mask = torch.arange(width) < front + torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(5, len(TOKENIZER), (rows, width)) * mask
    kinds = (torch.arange(width) >= front + 3).long() * mask * types
    slots = torch.where(torch.arange(width) < front, torch.arange(width), -1).expand(rows, -1)
    none = torch.full((rows,), -1)
    return Batch(ids, mask, kinds, slots, none, none)


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def compared(family: str, prompt: str, task: str, dtype: torch.dtype) -> dict[str, Any]:
    """Largest differences of one forward and backward pass."""
    their = theirs(family, prompt, task, dtype)
    backbone, our_prompt, head = ours(family, prompt, task, their)
    torch.manual_seed(1)
    types = family == "bert"
    front = LENGTH * prompt.startswith("rows")
    batch = padded(types, front)
    found = asked(their, batch, front, types).logits
    hidden = backbone(our_prompt(batch, backbone))
    if task == "CAUSAL_LM":
        expected = head(hidden)
    else:
        expected = head(backbone, head.read(backbone, hidden, batch), batch)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    weights = torch.randn_like(expected[seen])
    for logits in (found, expected):
        (weights * logits[seen]).mean().backward()
    pairs = list(zip(gradients(our_prompt), gradients(their.prompt_encoder), strict=True))
    scale = min(one.abs().max().item() for one, _ in pairs)
    assert scale > 0
    if task != "CAUSAL_LM":
        last = linears(their.get_base_model())[-1]
        pairs += zip(gradients(head), gradients(last), strict=True)
    return {
        "family": family,
        "prompt": prompt,
        "task": task,
        "dtype": str(dtype).removeprefix("torch."),
        "logits": (found[seen] - expected[seen]).abs().max().item(),
        "gradients": max((one - two).abs().max().item() for one, two in pairs),
        "of_size": {"logits": expected[seen].abs().max().item(), "gradients": scale},
    }


def tasks(family: str, prompt: str) -> Iterator[str]:
    """The tasks in which both libraries read the same places of the text."""
    yield "TOKEN_CLS"
    if family in DECODERS:
        yield "CAUSAL_LM"
    elif prompt.startswith("prefix"):  # PEFT pools the first place, and a row stands there
        yield "SEQ_CLS"


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")  # of what transformers will rename
    passes = [
        compared(family, prompt, task, dtype)
        for family, prompt in product(FAMILIES, PROMPTS)
        for task in tasks(family, prompt)
        for dtype in (torch.float64, torch.float32)
    ]
    folders = [
        exported(family, method, task)
        for family, method in product(FAMILIES, METHODS)
        for task in ("pocket_ner", "pocket_sentiment", *(["e2e"] if family in DECODERS else []))
    ]
    largest: dict[str, Any] = {
        dtype: {
            name: max(row[name] for row in passes if row["dtype"] == dtype)
            for name in ("logits", "gradients")
        }
        for dtype in BOUNDS
    }
    largest["exported folders"] = max(row["difference"] for row in folders)
    versions = {name: version(name) for name in ("peft", "transformers", "torch")}
    record = {
        "command": "python benchmarks/peft_parity.py",
        "versions": versions | {"python": platform.python_version()},
        "largest": largest,
        "passes": passes,
        "folders": folders,
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "peft_parity.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(largest, indent=1))
    for row in passes:
        assert max(row["logits"], row["gradients"]) < BOUNDS[row["dtype"]], row
    for row in folders:
        assert row["difference"] < BOUNDS["float32"], row


if __name__ == "__main__":
    main()
