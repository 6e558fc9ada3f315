"""Tiny models exported for PEFT, and what transformers alone answers from their folders.

`plain` reads a folder as PEFT's format has it: rows or a cache in front, and tensors by their names
in the base model.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from transformers import DynamicCache

from methods.prefix_tuning import PrefixTuning
from methods.prompt_tuning import PromptTuning
from methods.ptuning_v2 import PTuningV2
from ptbench.backbones import Backbone, Pooling
from ptbench.inputs import Batch
from ptbench.kinds import Classification, Features, Kind, Labelling, bio
from ptbench.method import Adapted, Method
from ptbench.peft_export import Adapter, adapter
from ptbench.templates import Encoder
from tests.families import FAMILIES

V2 = PTuningV2(False, 3, 0.1, False, 8, True, None)
PREFIX = PrefixTuning(False, 3, 8, 0.0, True)
ROWS = PromptTuning(False, 3, 0.5, False)
LABEL = Classification(("no", "yes", "so"), text="{x}", pattern="[P] {x} [P]")
PAIR = Classification(LABEL.labels, text="{x} [SEP] {y}", pattern="{x} [P] {y}")
TAGS = Labelling(labels=bio("X"))
TEXTS = ("a b", "c d e f g h i j")
SIZE = {"vocab_size": 200, "pad_token_id": 0}  # of the tests' tokenizer, with its padding


def adapted(backbone: Backbone, method: Method, kind: Kind, pooling: str = "first") -> Adapted:
    """A random model in float64 whose pooler, where it has one, is not the checkpoint's."""
    backbone.pooling = Pooling(pooling)
    names = [name for name, _ in backbone.model.named_parameters()]
    backbone.made = frozenset(name for name in names if name.startswith("pooler."))
    torch.manual_seed(0)
    model = method.adapt(backbone, kind).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.5 * torch.randn_like(parameter)
    return model


def texts(model: Adapted) -> Batch:
    encoder, template = Encoder(model.backbone.tokenizer, 32), model.kind.template
    rows = [encoder.lay_out(template, dict.fromkeys(template.fields, text)) for text in TEXTS]
    return model.kind.collate([Features(row, 0) for row in rows], encoder)


def written(model: Adapted, folder: Path) -> Adapter:
    made = adapter(model, Encoder(model.backbone.tokenizer, 32), "owner/name@abc")
    made.write(folder)
    return made


def base(made: Adapter, model: Adapted) -> Any:
    """The fresh model that the note names, with the pretrained part of the backbone alone."""
    config = transformers.AutoConfig.for_model(
        model.backbone.model.config.model_type,
        **{**FAMILIES[model.backbone.model.config.model_type], **SIZE},
    )
    if made.base.labels is not None:
        config.num_labels = made.base.labels
    whole = getattr(transformers, made.base.auto).from_config(config).double().eval()
    body = getattr(whole, whole.base_model_prefix) if made.base.head else whole
    own = model.backbone.made
    state = {n: t for n, t in model.backbone.model.state_dict().items() if n not in own}
    assert not body.load_state_dict(state, strict=False).unexpected_keys
    return whole


@torch.no_grad()
def plain(folder: Path, whole: Any, batch: Batch) -> Tensor:
    """What the base answers with the folder's tensors in it, read as PEFT reads them."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    prompt = tensors.pop("prompt_embeddings")
    trained = {name.removeprefix("base_model."): t for name, t in tensors.items()}
    assert not whole.load_state_dict(trained, strict=False).unexpected_keys
    assert all(any(n.startswith(m) for m in config["modules_to_save"]) for n in trained)
    rows, length = len(batch.ids), config["num_virtual_tokens"]
    body = getattr(whole, whole.base_model_prefix) if trained else whole
    accepts = inspect.signature(body.forward).parameters
    if config["peft_type"] == "PREFIX_TUNING":
        heads, layers = config["num_attention_heads"], config["num_layers"]
        parts = prompt.expand(rows, -1, -1).view(rows, length, 2 * layers, heads, -1)
        pairs = parts.permute(2, 0, 3, 1, 4).split(2)
        name = "cache" if "cache" in accepts else "past_key_values"
        given = {"input_ids": batch.ids, name: DynamicCache([(k, v) for k, v in pairs])}
        mask = torch.cat([batch.mask.new_ones(rows, length), batch.mask], 1)
    else:
        words = body.get_input_embeddings()(batch.ids[:, length:])
        given = {"inputs_embeds": torch.cat([prompt.expand(rows, -1, -1), words], 1)}
        mask = batch.mask
    if trained and "token_type_ids" in accepts and body.config.model_type == "bert":
        given["token_type_ids"] = batch.types
    outputs = body(attention_mask=mask.long(), **given)
    if not trained:
        return outputs.last_hidden_state
    pooled = config["task_type"] == "SEQ_CLS" and outputs.get("pooler_output") is not None
    head = getattr(whole, next(n.partition(".")[0] for n in trained if not n.count(".") > 2))
    return head(outputs.pooler_output if pooled else outputs.last_hidden_state)


def close(folder: Path, made: Adapter, model: Adapted, found: Tensor) -> None:
    batch = texts(model)
    with torch.no_grad():
        hidden = model.backbone(model.prompt(batch, model.backbone))
        expected = model(batch) if made.base.head else hidden
    seen = batch.mask if expected.ndim == 3 else slice(None)
    torch.testing.assert_close(found[seen], expected[seen], rtol=0, atol=1e-9)
