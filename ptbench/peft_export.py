"""A saved prompt as an adapter folder that PEFT loads, where PEFT can hold it.

PEFT knows two places for a prompt: rows in front of all of the text's word embeddings, and a cache
of keys and values that every layer of one stack reads. That its model computes what ours does is
not taken on trust: before a folder is written, transformers runs a probe as PEFT would have it run.
"""

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ptbench.backbones import Backbone
from ptbench.errors import PtbenchError
from ptbench.inputs import Batch
from ptbench.kinds import Features, Kind
from ptbench.method import Adapted
from ptbench.peft_base import Base, base, equal
from ptbench.prompts import InputPrompt, LayerPrompt
from ptbench.serve import open_one
from ptbench.templates import Encoder


class ExportError(PtbenchError):
    """A prompt that PEFT cannot hold, or a folder that cannot be written."""


@dataclass(frozen=True)
class Adapter:
    """The two files of an adapter folder, and what PEFT loads it on."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    base: Base

    @property
    def note(self) -> str:
        """How to load it, and why the head is not in it where it is not."""
        labels = "" if self.base.labels is None else f", num_labels={self.base.labels}"
        said = f"load it on {self.base.auto}.from_pretrained(<backbone>{labels})"
        return said if self.base.left_out is None else f"{said}\nno head: {self.base.left_out}"

    def write(self, folder: Path) -> None:
        """Writes the folder. Raises ExportError where it cannot be written."""
        config = json.dumps(self.config, indent=2, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(self.tensors, folder / "adapter_model.safetensors", {"format": "pt"})
            (folder / "adapter_config.json").write_text(f"{config}\n", encoding="utf-8")
        except (OSError, SafetensorError) as error:
            raise ExportError(
                f"{folder} could not be written: {error}; name another folder"
            ) from error


def export(file: Path, folder: Path, backbone: Path | None = None) -> Adapter:
    """Writes a saved prompt as an adapter folder for `peft.PeftModel.from_pretrained`.

    Raises ExportError naming the setting that PEFT has no place for, and CheckpointError for a
    file or backbone that does not load.
    """
    header, saved = open_one(file, backbone)
    try:
        made = adapter(saved.model.float(), saved.encoder, header.backbone)
    except ExportError as error:
        raise ExportError(f"{file}: {error}") from error
    made.write(folder)
    return made


@torch.no_grad()
def adapter(model: Adapted, encoder: Encoder, identity: str) -> Adapter:
    """The adapter of a model; `identity` is its backbone's. Raises ExportError as `export` does."""
    batch = probe(model.eval().kind, encoder)
    if reason := refusal(model, batch):
        raise ExportError(reason)
    under = base(model, batch)
    _check(model, batch, under)
    assert model.prompt.encoder is not None
    tensors = {f"base_model.{name}": tensor for name, tensor in under.head.items()}
    tensors["prompt_embeddings"] = model.prompt.encoder()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return Adapter(_config(model, under, identity), tensors, under)


def probe(kind: Kind, encoder: Encoder) -> Batch:
    """Two texts of some words, of unequal length, as the kind of task lays them out."""
    special = set(encoder.tokenizer.all_special_ids)
    words = [i for i in range(len(encoder.tokenizer)) if i not in special]
    template = kind.template
    return kind.collate(
        [
            Features(encoder.lay_out(template, {n: words[-length:] for n in template.fields}), 0)
            for length in (4, 9)
        ],
        encoder,
    )


def refusal(model: Adapted, batch: Batch) -> str | None:
    """Which setting PEFT has no place for, and why; None where it has one for all."""
    backbone, prompt = model.backbone, model.prompt
    if not model.frozen:
        return "its backbone trained too, and an adapter holds a prompt for the pretrained one"
    if prompt.encoder is None:
        return "its method has no prompt, and PEFT's prompt methods hold no head alone"
    if backbone.two_stacks:
        return (
            f"architecture '{backbone.model.config.model_type}' has two stacks: PEFT's prompt "
            "enters one of them, ours both"
        )
    if isinstance(prompt, LayerPrompt):
        return _refused_prefix(prompt, backbone)
    if isinstance(prompt, InputPrompt):
        return _refused_rows(prompt, batch)
    return f"PEFT has no prompt at '{prompt.place}'"


def _refused_prefix(prompt: LayerPrompt, backbone: Backbone) -> str | None:
    config: Any = backbone.model.config
    if len(prompt.numbers) < prompt.total:
        layers = sorted({call.layer for call in prompt.calls})
        return f"method.layers={layers}: PEFT's prefix enters every layer; train with null"
    if not prompt.shifted:
        return (
            "method.shifted=false: PEFT's prefix is a cache, behind which text positions count on; "
            "train with true"
        )
    if _cache_argument(backbone.model) is None:
        return (
            f"architecture '{config.model_type}' takes no cache, and PEFT's prefix is one; "
            "PEFT can hold prompt tuning"
        )
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        return (
            f"architecture '{config.model_type}' has sliding windows: PEFT's prefix leaves them as "
            "the text grows, ours does not; PEFT can hold prompt tuning"
        )
    return None


def _refused_rows(prompt: InputPrompt, batch: Batch) -> str | None:
    if prompt.embed_twice:
        return "method.embed_twice=true: PEFT's model embeds a text once; train with false"
    front = torch.arange(batch.slots.shape[1])
    front[prompt.encoder.length :] = -1
    if (batch.slots != front).any():
        return (
            "the task's pattern has pseudo tokens behind words or special tokens, and PEFT's stand "
            "in front of them all; PEFT can hold prompt tuning"
        )
    return None


def _cache_argument(model: PreTrainedModel) -> str | None:
    """What this transformers calls the cache (renamed in 5.24); None where the model has none."""
    known = inspect.signature(model.forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in known), None)


def _check(model: Adapted, batch: Batch, under: Base) -> None:
    """Raises ExportError where transformers, run as PEFT runs it, gives other hidden states."""
    backbone = model.backbone
    inputs = model.prompt(batch, backbone)
    expected = backbone(inputs)
    given: dict[str, Any] = {"inputs_embeds": inputs.embeds}
    mask = inputs.mask
    if inputs.prefix:
        pairs = [(part.key, part.value) for part in inputs.prefix if part is not None]
        cache = str(_cache_argument(backbone.model))
        given = {"input_ids": batch.ids, cache: DynamicCache(pairs)}
        mask = F.pad(mask, (pairs[0][0].shape[2], 0), value=True)
    if under.head:  # without a head PEFT drops them
        given |= backbone.accepted(token_type_ids=inputs.types)
    backbone.injection.prefix = ()
    found = backbone.model(attention_mask=mask.long(), **given).last_hidden_state
    if equal(found[batch.mask], expected[batch.mask]):
        return
    if batch.types.any() and under.left_out is not None:
        raise ExportError(
            f"the task's text has two token types, which PEFT drops where it has no head; it has "
            f"none since {under.left_out}"
        )
    raise ExportError("PEFT's model would compute other hidden states; use `ptbench predict`")


def _config(model: Adapted, under: Base, identity: str) -> dict[str, Any]:
    """PEFT's adapter_config.json; what is not here is at its default."""
    prompt, calls = model.prompt, model.backbone.injection.calls
    assert prompt.encoder is not None
    name, _, revision = identity.rpartition("@")  # weights of a folder have a checksum alone
    config = {
        "base_model_name_or_path": name or None,
        "revision": revision if name else None,
        "inference_mode": True,
        "task_type": under.task,
        "modules_to_save": under.modules,
        "num_virtual_tokens": prompt.encoder.length,
        "num_transformer_submodules": 1,
        "num_attention_heads": calls[0].heads,
        "num_layers": len(calls),
    }
    if isinstance(prompt, LayerPrompt):
        width = calls[0].heads * calls[0].size
        return {**config, "peft_type": "PREFIX_TUNING", "token_dim": width}
    return {**config, "peft_type": "PROMPT_TUNING", "token_dim": prompt.encoder.width}
