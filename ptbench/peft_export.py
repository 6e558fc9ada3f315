"""A saved prompt as an adapter folder that PEFT loads, where PEFT can hold it.

PEFT knows two places for a prompt: rows in front of all of the text's word embeddings, and a cache
of keys and values that every layer of one stack reads. Whether its model computes what ours does is
not taken on trust: transformers' own model runs both ways on a probe before a folder is written.
"""

import copy
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DynamicCache,
    PreTrainedModel,
)

from ptbench.backbones import Backbone, Pooling
from ptbench.errors import PtbenchError
from ptbench.inputs import Batch
from ptbench.kinds import Features, Head, Kind
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.labelling import TokenHead
from ptbench.method import Adapted
from ptbench.prompts import InputPrompt, LayerPrompt
from ptbench.serve import open_one
from ptbench.templates import Encoder

# what PEFT calls the task of a head, and transformers' class that has such a head
HEADS: dict[type[Head], tuple[str, Any]] = {
    PooledHead: ("SEQ_CLS", AutoModelForSequenceClassification),
    TokenHead: ("TOKEN_CLS", AutoModelForTokenClassification),
}


class ExportError(PtbenchError):
    """A prompt that PEFT cannot hold, or a folder that cannot be written."""


class NoPlace(Exception):
    """Why PEFT has no place for a head."""


@dataclass(frozen=True)
class Base:
    """The model that PEFT puts a prompt on; `head` are its trained tensors, by their names there."""

    task: str = "FEATURE_EXTRACTION"
    auto: str = "AutoModel"
    labels: int | None = None
    head: dict[str, Tensor] = field(default_factory=dict)
    left_out: str | None = None

    @property
    def modules(self) -> set[str]:
        """The modules that these tensors fill: the head, and a pooler's layer within the body."""
        paths = [name.split(".") for name in self.head]
        return {path[0] if len(path) < 4 else ".".join(path[:-1]) for path in paths}


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
            raise ExportError(f"{folder} could not be written: {error}; name another") from error


def export(file: Path, folder: Path, backbone: Path | None = None) -> Adapter:
    """Writes a saved prompt as an adapter folder for `peft.PeftModel.from_pretrained`.

    Raises ExportError naming the setting that PEFT has no place for, and CheckpointError as
    `ptbench predict` does.
    """
    header, saved = open_one(file, backbone)
    try:
        made = adapter(saved.model, saved.encoder, header.backbone)
    except ExportError as error:
        raise ExportError(f"{file}: {error}") from error
    made.write(folder)
    return made


@torch.no_grad()
def adapter(model: Adapted, encoder: Encoder, identity: str) -> Adapter:
    """The adapter of a model; `identity` is its backbone's. Raises ExportError as `export` does."""
    batch = probe(model.kind, encoder)
    model.eval()
    if reason := refusal(model, batch):
        raise ExportError(reason)
    try:
        base = _base(model, batch)
    except NoPlace as error:
        base = Base(left_out=str(error))
    _check_prompt(model, batch, base)
    assert model.prompt.encoder is not None
    rows = {"prompt_embeddings": model.prompt.encoder()}
    tensors = rows | {f"base_model.{name}": tensor for name, tensor in base.head.items()}
    config = _config(model, base, identity)
    return Adapter(config, {n: t.detach().cpu().contiguous() for n, t in tensors.items()}, base)


def probe(kind: Kind, encoder: Encoder) -> Batch:
    """Two texts of some tokens, of unequal length, as the kind of task lays them out."""
    special = set(encoder.tokenizer.all_special_ids)
    words = [i for i in range(len(encoder.tokenizer)) if i not in special]
    template, features = kind.template, []
    for length in (4, 9):
        laid_out = encoder.lay_out(template, {n: words[-length:] for n in template.fields})
        features.append(Features(laid_out, 0))
    return kind.collate(features, encoder)


def refusal(model: Adapted, batch: Batch) -> str | None:
    """Which setting PEFT has no place for, and why; None where it has."""
    backbone, prompt = model.backbone, model.prompt
    config: Any = backbone.model.config
    if not model.frozen:
        return "the backbone trained too, and an adapter holds a prompt for the pretrained one"
    if prompt.encoder is None:
        return "the method has no prompt, and PEFT's prompt methods hold no head alone"
    if config.is_encoder_decoder:
        return (
            f"architecture '{config.model_type}' has two stacks: PEFT's prompt enters one of them "
            "only, ours both"
        )
    if isinstance(prompt, LayerPrompt):
        return _refused_prefix(prompt, backbone)
    if isinstance(prompt, InputPrompt):
        return _refused_rows(prompt, batch)
    return f"PEFT knows no prompt at '{prompt.place}'"


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
            "prompt tuning is held"
        )
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        return (
            f"architecture '{config.model_type}' has sliding windows (model.config.layer_types), "
            "and PEFT's prefix leaves them as the text grows, ours stays; prompt tuning is held"
        )
    return None


def _refused_rows(prompt: InputPrompt, batch: Batch) -> str | None:
    if prompt.embed_twice:
        return "method.embed_twice=true: PEFT embeds a text once; train with false"
    length = prompt.encoder.length
    in_front = (batch.slots[:, :length] == torch.arange(length)).all()
    if not in_front or (batch.slots[:, length:] >= 0).any():
        return (
            "the task's pattern has pseudo tokens behind words or special tokens, and PEFT's stand "
            "before all of them; prompt tuning is held"
        )
    return None


def _cache_argument(model: PreTrainedModel) -> str | None:
    """What this transformers calls the cache: renamed in 5.24; None where there is none."""
    known = inspect.signature(model.forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in known), None)


def _base(model: Adapted, batch: Batch) -> Base:
    """transformers' model with the trained head in it. Raises NoPlace where it has no such head."""
    head: Any = model.head
    if type(head) not in HEADS:
        raise NoPlace(f"PEFT has no task for the head '{head.name}'")
    task, auto = HEADS[type(head)]
    backbone, labels = model.backbone, head.classifier.out_features
    config = copy.deepcopy(backbone.model.config)
    config.num_labels = labels
    try:
        with torch.device("meta"):
            whole = auto.from_config(config)
    except ValueError as error:
        raise NoPlace(f"{auto.__name__} knows no '{config.model_type}'") from error
    tensors = _placed(model, whole)
    setattr(whole, whole.base_model_prefix, backbone.model)
    whole.load_state_dict(tensors, strict=False, assign=True)
    inputs = model.prompt(batch, backbone)
    backbone.injection.prefix = inputs.prefix
    found = whole.eval()(
        inputs_embeds=inputs.embeds,
        attention_mask=inputs.mask.long(),
        **backbone._accepted(token_type_ids=inputs.types, position_ids=inputs.positions),
    ).logits
    expected = model(batch)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    if not _equal(found[seen], expected[seen]):
        raise NoPlace(
            f"{type(whole).__name__} answers otherwise with the same weights: it does not pool as "
            f"model.pooling={backbone.pooling}, or from behind the pseudo tokens"
        )
    return Base(task, auto.__name__, labels, tensors)


def _placed(model: Adapted, whole: PreTrainedModel) -> dict[str, Tensor]:
    """The trained tensors by their names in `whole`. Raises NoPlace where they have none."""
    backbone: Any = model.backbone
    body = f"{whole.base_model_prefix}."
    shapes = {name: p.shape for name, p in whole.named_parameters()}
    wanted = {name: shape for name, shape in shapes.items() if not name.startswith(body)}
    place = min(wanted, default="").partition(".")[0]
    head = {f"{place}.{n}": p for n, p in model.head.classifier.named_parameters()}  # pyright: ignore
    if backbone.pooling is Pooling.pooler and f"{place}.dense.weight" in wanted:
        # RoBERTa's classifier has the pooler in it
        head = {f"{place}.out_proj.{n.rpartition('.')[2]}": p for n, p in head.items()}
        head |= {f"{place}.{n}": p for n, p in backbone.model.pooler.named_parameters()}
    if {name: p.shape for name, p in head.items()} != wanted:
        raise NoPlace(
            f"the head of {type(whole).__name__} is {', '.join(wanted)}, and what was trained is "
            f"{', '.join(head)}"
        )
    made = {f"{body}{n}": p for n, p in backbone.model.named_parameters() if n in backbone.made}
    return head | {name: p for name, p in made.items() if name in shapes}


def _check_prompt(model: Adapted, batch: Batch, base: Base) -> None:
    """Raises ExportError where transformers alone does not give the hidden states that we give."""
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
    if base.head:  # without a head PEFT drops the token types
        given |= backbone._accepted(token_type_ids=inputs.types)
    backbone.injection.prefix = ()
    found = backbone.model(attention_mask=mask.long(), **given).last_hidden_state
    if not _equal(found[batch.mask], expected[batch.mask]):
        types = "without a head PEFT drops token types, and this task's text has two segments"
        raise ExportError(types if batch.types.any() else "PEFT would compute other hidden states")


def _equal(one: Tensor, two: Tensor) -> bool:
    """Whether half of the digits agree: the same function in another order of sums."""
    bound = torch.finfo(two.dtype).eps ** 0.5 * two.abs().max()
    return bool((one - two).abs().max() <= bound)


def _config(model: Adapted, base: Base, identity: str) -> dict[str, Any]:
    """PEFT's adapter_config.json; what is not here is at its default."""
    prompt, calls = model.prompt, model.backbone.injection.calls
    assert prompt.encoder is not None
    name, _, revision = identity.rpartition("@")  # weights in a folder have a checksum alone
    config = {
        "base_model_name_or_path": name or None,
        "revision": revision if name else None,
        "inference_mode": True,
        "task_type": base.task,
        "num_virtual_tokens": prompt.encoder.length,
        "num_transformer_submodules": 1,
        "num_attention_heads": calls[0].heads,
        "num_layers": len(calls),
        "modules_to_save": sorted(base.modules) or None,
    }
    if isinstance(prompt, LayerPrompt):
        width = calls[0].heads * calls[0].size
        return config | {"peft_type": "PREFIX_TUNING", "token_dim": width}
    return config | {"peft_type": "PROMPT_TUNING", "token_dim": prompt.encoder.width}
