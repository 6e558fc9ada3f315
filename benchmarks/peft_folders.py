"""Tiny random models, saved, exported by ptbench and loaded by PEFT; a part of peft_parity.py."""

import tempfile
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import nn

from ptbench import peft_export
from ptbench.backbones import Pooling
from ptbench.checkpoints import save
from ptbench.inputs import Batch
from ptbench.kinds import Features
from ptbench.models import Random
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.serve import open_one
from ptbench.templates import Encoder

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SHAPE |= {"intermediate_size": 64, "max_position_embeddings": 64}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {**SHAPE, **NO_DROPOUT},
    "roberta": {**SHAPE, **NO_DROPOUT},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "llama": {**SHAPE, "num_key_value_heads": 2},
}
DECODERS = ("gpt2", "llama")
MODELS = {"bert": "bert_base_uncased", "roberta": "roberta_base"}
MODELS |= {"gpt2": "gpt2", "llama": "smollm2_135m"}
METHODS = {
    "P-tuning v2": ("method=ptuning_v2", "method.prefix_length=3"),
    "prefix-tuning": ("method=prefix_tuning", "method.prefix_length=3", "method.hidden=16"),
    "prompt tuning": ("method=prompt_tuning", "method.prompt_length=3"),
}
TEXTS = ("the soup was cold", "nobody in the harbour of Bath minded Ford at noon")
TOKENIZER = Random(Pooling.first, False, width=8, layers=1, heads=1, positions=8).load().tokenizer


def configured(family: str, **changes: Any) -> Any:
    """A tiny config of the family, for the tokenizer of single characters."""
    ids = dict.fromkeys(("bos_token_id", "eos_token_id"), TOKENIZER.sep_token_id)
    ids |= {"vocab_size": len(TOKENIZER), "pad_token_id": TOKENIZER.pad_token_id}
    return transformers.AutoConfig.for_model(family, **{**FAMILIES[family], **ids, **changes})


def drawn(module: nn.Module, std: float) -> nn.Module:
    """The module with all its weights drawn anew, large enough to matter."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)
    return module.eval()


def asked(model: Any, batch: Batch, front: int, types: bool) -> Any:
    """PEFT's answer to the texts alone."""
    given = {"token_type_ids": batch.types[:, front:]} if types else {}
    return model(
        input_ids=batch.ids[:, front:], attention_mask=batch.mask[:, front:].long(), **given
    )


def saved(family: str, overrides: tuple[str, ...], folder: Path) -> Path:
    """A random cell over a random backbone, in a file as `ptbench run` would save it."""
    torch.manual_seed(0)
    backbone, file = folder / "backbone", folder / "saved.safetensors"
    causal = family in DECODERS
    auto = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
    drawn(auto.from_config(configured(family)), 0.2).save_pretrained(backbone)
    TOKENIZER.save_pretrained(backbone)
    named = [f"model={MODELS[family]}", f"model.name={backbone}", "model.revision=null"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*named, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    cell = build_cell(config)
    model = cell.method.adapt(cell.model.load(), cell.task.asks)
    drawn(model.prompt, 0.3)
    if model.head.pretrained is None:
        drawn(model.head, 0.3)
    parts = {name: OmegaConf.to_container(config[name]) for name in ("model", "method", "task")}
    save(model.eval(), file, parts, cell.model.identity())
    return file


@torch.no_grad()
def exported(family: str, method: str, task: str) -> dict[str, Any]:
    """How far PEFT's answers from an exported folder are from ours from the saved file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = saved(family, (*METHODS[method], f"task={task}"), folder)
        base = peft_export.export(file, folder / "adapter").base
        model = open_one(file)[1].model
        labels = {} if base.labels is None else {"num_labels": base.labels}
        body = getattr(transformers, base.auto).from_pretrained(folder / "backbone", **labels)
        their = peft.PeftModel.from_pretrained(body, folder / "adapter")
    kind, layout = model.kind, Encoder(TOKENIZER, 64)
    fields = kind.template.fields
    rows = [layout.lay_out(kind.template, dict.fromkeys(fields, text)) for text in TEXTS]
    batch = kind.collate([Features(row, 0) for row in rows], layout)
    answer = asked(their, batch, int((batch.slots[0] >= 0).sum()), types=False)
    hidden = model.backbone(model.prompt(batch, model.backbone))
    if base.left_out is not None:
        found, expected = answer.last_hidden_state, hidden
    elif model.head.pretrained is not None:
        found, expected = answer.logits, model.head.pretrained(hidden)
    else:
        found, expected = answer.logits, model(batch)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    return {
        "family": family,
        "method": method,
        "task": task,
        "loaded_on": base.auto,
        "compared": "hidden states" if base.left_out is not None else "logits",
        "difference": (found[seen] - expected[seen]).abs().max().item(),
        "largest": expected[seen].abs().max().item(),
    }
