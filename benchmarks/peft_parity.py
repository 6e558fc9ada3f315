"""Whether PEFT computes what ptbench computes, with the same weights.

Logits and gradients of prefixes and of rows of embeddings, made by a table, an MLP or an LSTM, on
tiny random models in both libraries; then what PEFT answers from folders that `ptbench export` wrote.
PEFT 0.21.2 needs transformers below 5.24, so this runs in an environment of its own:

    python -m venv .peft && .peft/bin/pip install -e . peft==0.21.2 transformers==5.23.0
    .peft/bin/python benchmarks/peft_parity.py
"""

import json
import platform
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import Tensor, nn

from ptbench import peft_export
from ptbench.attention import NAMES
from ptbench.backbones import Backbone, LMHead, Pooling
from ptbench.checkpoints import save
from ptbench.encoders import LSTM, MLP, Encoder, Table
from ptbench.inputs import Batch
from ptbench.kinds import Features
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.labelling import TokenHead
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.paths import CONF
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt
from ptbench.run import build_cell
from ptbench.serve import open_one
from ptbench.templates import Encoder as Layout

LENGTH, HIDDEN, LABELS, LENGTHS = 3, 16, 4, (9, 5)
BOUNDS = {"float64": 1e-9, "float32": 1e-5}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
ENCODER = {
    **SHAPE,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
LLAMA = {**SHAPE, "intermediate_size": 64, "max_position_embeddings": 64, "num_key_value_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": ENCODER,
    "roberta": ENCODER,
    "gpt2": GPT2,
    "llama": LLAMA,
}
MODELS = {"bert": "bert_base_uncased", "roberta": "roberta_base"}
MODELS |= {"gpt2": "gpt2", "llama": "smollm2_135m"}
DECODERS = ("gpt2", "llama")
AUTO = {
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
}
WITH_PEFT = {
    "prefix, table": {"peft_type": "PREFIX_TUNING"},
    "prefix, MLP": {"peft_type": "PREFIX_TUNING", "prefix_projection": True},
    "rows, table": {"peft_type": "PROMPT_TUNING"},
    "rows, LSTM": {"peft_type": "P_TUNING", "encoder_reparameterization_type": "LSTM"},
}
RENAMED = (("transform", "layers"), ("lstm_head", "lstm"), ("mlp_head", "mlp"))
METHODS = {
    "P-tuning v2": ("method=ptuning_v2", "method.prefix_length=3"),
    "prefix-tuning": ("method=prefix_tuning", "method.prefix_length=3", "method.hidden=16"),
    "prompt tuning": ("method=prompt_tuning", "method.prompt_length=3"),
}
TEXTS = ("the soup was cold", "nobody in the harbour of Bath minded Ford at noon")

TOKENIZER = Random(Pooling.first, lm_head=False, width=8, layers=1, heads=1, positions=8)


def configured(family: str, **changes: Any) -> Any:
    """A tiny config of the family, for the tokenizer of single characters."""
    tokenizer = TOKENIZER.load().tokenizer
    ids = dict.fromkeys(("bos_token_id", "eos_token_id"), tokenizer.sep_token_id)
    ids |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return transformers.AutoConfig.for_model(family, **{**FAMILIES[family], **ids, **changes})


def drawn(module: nn.Module, std: float) -> nn.Module:
    """The module with all its weights drawn anew, large enough to matter."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)
    return module.eval()


def theirs(family: str, prompt: str, task: str, dtype: torch.dtype) -> Any:
    """PEFT's model: a random base, with a random prompt and head."""
    torch.manual_seed(0)
    base = drawn(AUTO[task].from_config(configured(family, num_labels=LABELS)), 0.2).to(dtype)
    width = {"encoder_hidden_size": HIDDEN} if "table" not in prompt else {}
    config = peft.get_peft_config(
        {**WITH_PEFT[prompt], "task_type": task, "num_virtual_tokens": LENGTH, **width}
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
    model = transformers.AutoModel.from_config(
        configured(family, attn_implementation=NAMES["sdpa"]), dtype=body.dtype
    )
    model.load_state_dict(body.state_dict(), strict=False)
    if task == "SEQ_CLS" and model.pooler is not None and body.pooler is None:
        model.pooler.dense.load_state_dict(saved_head(base)[0].state_dict())
    backbone = Backbone(model.eval(), TOKENIZER.load().tokenizer, Pooling.pooler, None)
    backbone.requires_grad_(False)
    if name.startswith("prefix"):
        inner = their.peft_config["default"].token_dim
        made = encoder(name, LayerPrompt.width(backbone), inner)
        prompt: Prompt = LayerPrompt(backbone, made, 0.0, shifted=True)
    else:
        prompt = InputPrompt(encoder(name, backbone.words.embedding_dim, 0))
    prompt.to(body.dtype)
    state = their.prompt_encoder["default"].state_dict()
    for old, new in RENAMED:
        state = {key.replace(old, new): tensor for key, tensor in state.items()}
    assert prompt.encoder is not None
    prompt.encoder.load_state_dict(state)
    if task == "CAUSAL_LM":
        whole = AUTO[task].from_config(base.config, dtype=body.dtype)
        whole.load_state_dict(base.state_dict())
        return backbone, prompt, LMHead(whole.requires_grad_(False), model)
    head = (PooledHead if task == "SEQ_CLS" else TokenHead)(backbone, LABELS)
    head.to(body.dtype).classifier.load_state_dict(saved_head(base)[-1].state_dict())
    return backbone, prompt, head.eval()


def saved_head(base: Any) -> list[nn.Linear]:
    """The linear layers that PEFT trains beside the prompt."""
    (place,) = {"classifier", "score"} & set(base._modules)
    trained = base.get_submodule(place).modules_to_save["default"]
    return [module for module in trained.modules() if isinstance(module, nn.Linear)]


def padded(vocabulary: int, types: bool, front: int) -> Batch:
    """Random texts of unequal length; `front` places for pseudo tokens before them."""
    rows, width = len(LENGTHS), front + max(LENGTHS)
    mask = torch.arange(width) < front + torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(5, vocabulary, (rows, width)) * mask
    kinds = (torch.arange(width) >= front + 3).long() * mask * types
    slots = torch.where(torch.arange(width) < front, torch.arange(width), -1).expand(rows, -1)
    none = torch.full((rows,), -1)
    return Batch(ids, mask, kinds, slots, none, none)


def asked(model: Any, batch: Batch, front: int, types: bool) -> Any:
    """PEFT's answer to the texts alone."""
    given = {"token_type_ids": batch.types[:, front:]} if types else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what this transformers will rename
        return model(
            input_ids=batch.ids[:, front:], attention_mask=batch.mask[:, front:].long(), **given
        )


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def compared(family: str, prompt: str, task: str, dtype: torch.dtype) -> dict[str, Any]:
    """Largest differences of one forward and backward pass."""
    their = theirs(family, prompt, task, dtype)
    backbone, our_prompt, head = ours(family, prompt, task, their)
    torch.manual_seed(1)
    types, front = family == "bert" and task != "CAUSAL_LM", LENGTH * prompt.startswith("rows")
    batch = padded(len(backbone.tokenizer), types, front)
    found = asked(their, batch, front, types).logits
    hidden = backbone(our_prompt(batch, backbone))
    expected = head(hidden) if task == "CAUSAL_LM" else head(backbone, hidden, batch)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    weights = torch.randn_like(expected[seen])
    for logits in (found, expected):
        (weights * logits[seen]).mean().backward()
    pairs = list(zip(gradients(our_prompt), gradients(their.prompt_encoder), strict=True))
    if task != "CAUSAL_LM":
        pairs += zip(
            gradients(head), gradients(saved_head(their.get_base_model())[-1]), strict=True
        )
    assert all(gradient.abs().max() > 0 for pair in pairs for gradient in pair)
    return {
        "family": family,
        "prompt": prompt,
        "task": task,
        "dtype": str(dtype).removeprefix("torch."),
        "logits": (found[seen] - expected[seen]).abs().max().item(),
        "gradients": max((one - two).abs().max().item() for one, two in pairs),
        "largest_gradient": max(two.abs().max().item() for _, two in pairs),
        "tensors": len(pairs),
    }


def tasks(family: str, prompt: str) -> Iterator[str]:
    """The tasks in which both libraries read the same places of the text."""
    yield "TOKEN_CLS"
    if family in DECODERS:
        yield "CAUSAL_LM"
    elif prompt.startswith("prefix"):  # PEFT pools the first place, and a row stands there
        yield "SEQ_CLS"


def saved(family: str, overrides: tuple[str, ...], folder: Path) -> Adapted:
    """A cell with a random backbone, prompt and head, saved as `ptbench run` would."""
    torch.manual_seed(0)
    backbone = folder / "backbone"
    causal = family in DECODERS
    auto = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
    drawn(auto.from_config(configured(family)), 0.2).save_pretrained(backbone)
    TOKENIZER.load().tokenizer.save_pretrained(backbone)
    named = [f"model={MODELS[family]}", f"model.name={backbone}", "model.revision=null"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*named, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    cell = build_cell(config)
    model = cell.method.adapt(cell.model.load(), cell.task.asks)
    for part in (model.prompt, *([model.head] if model.head.pretrained is None else [])):
        drawn(part, 0.3)
    parts = {name: OmegaConf.to_container(config[name]) for name in ("model", "method", "task")}
    save(model.eval(), folder / "saved.safetensors", parts, cell.model.identity())
    return model


@torch.no_grad()
def exported(family: str, method: str, task: str) -> dict[str, Any]:
    """How far PEFT's answers from an exported folder are from ours from the saved file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        saved(family, (*METHODS[method], f"task={task}"), folder)
        made = peft_export.export(folder / "saved.safetensors", folder / "adapter")
        model = open_one(folder / "saved.safetensors")[1].model
        labels = {} if made.base.labels is None else {"num_labels": made.base.labels}
        auto = getattr(transformers, made.base.auto)
        their = auto.from_pretrained(folder / "backbone", **labels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            their = peft.PeftModel.from_pretrained(their, folder / "adapter")
    kind, layout = model.kind, Layout(model.backbone.tokenizer, 64)
    fields = kind.template.fields
    rows = [layout.lay_out(kind.template, dict.fromkeys(fields, text)) for text in TEXTS]
    batch = kind.collate([Features(row, 0) for row in rows], layout)
    front = int((batch.slots[0] >= 0).sum())
    hidden = model.backbone(model.prompt(batch, model.backbone))
    answer = asked(their, batch, front, types=bool(made.base.head) and family == "bert")
    if not made.base.head and made.base.task == "FEATURE_EXTRACTION":
        found, expected = answer.last_hidden_state, hidden
    else:
        lm = model.head.pretrained
        found, expected = answer.logits, model(batch) if lm is None else lm(hidden)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    return {
        "family": family,
        "method": method,
        "task": task,
        "loaded_on": made.base.auto,
        "compared": "hidden states" if found is not getattr(answer, "logits", None) else "logits",
        "difference": (found[seen] - expected[seen]).abs().max().item(),
        "largest": expected[seen].abs().max().item(),
    }


def main() -> None:
    torch.set_num_threads(1)
    passes = [
        compared(family, prompt, task, dtype)
        for family, prompt in product(FAMILIES, WITH_PEFT)
        for task in tasks(family, prompt)
        for dtype in (torch.float64, torch.float32)
    ]
    folders = [
        exported(family, method, task)
        for family, method in product(FAMILIES, METHODS)
        for task in ("pocket_ner", "pocket_sentiment", *(["e2e"] if family in DECODERS else []))
    ]
    largest = {
        dtype: {
            name: max(row[name] for row in passes if row["dtype"] == dtype)
            for name in ("logits", "gradients")
        }
        for dtype in BOUNDS
    }
    largest["exported"] = {"logits": max(row["difference"] for row in folders)}
    record = {
        "command": "python benchmarks/peft_parity.py",
        "versions": {name: version(name) for name in ("peft", "transformers", "torch")}
        | {"python": platform.python_version()},
        "largest": largest,
        "passes": passes,
        "exported": folders,
    }
    text = json.dumps(record, indent=1)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "peft_parity.json").write_text(text + "\n")
    print(json.dumps(record["versions"] | largest, indent=1))
    for row in passes:
        assert max(row["logits"], row["gradients"]) < BOUNDS[row["dtype"]], row
    for row in folders:
        assert row["difference"] < BOUNDS["float32"] * max(1, row["largest"]), row


if __name__ == "__main__":
    main()
