"""The model of transformers that PEFT puts a prompt on, with the trained head where it has one."""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from ptbench.backbones import Pooling
from ptbench.inputs import Batch
from ptbench.kinds import Head
from ptbench.kinds.classification import PooledHead
from ptbench.kinds.generation import WordHead
from ptbench.kinds.labelling import TokenHead
from ptbench.method import Adapted

# what PEFT calls a head's task, and transformers' models that have such a head
HEADS: dict[type[Head], tuple[str, Any]] = {
    PooledHead: ("SEQ_CLS", AutoModelForSequenceClassification),
    TokenHead: ("TOKEN_CLS", AutoModelForTokenClassification),
    WordHead: ("CAUSAL_LM", AutoModelForCausalLM),
}


class NoPlace(Exception):
    """Why PEFT has no place for a head."""


@dataclass(frozen=True)
class Base:
    """What PEFT loads an adapter on; `head` are the trained tensors by their names in it."""

    task: str = "FEATURE_EXTRACTION"
    auto: str = "AutoModel"
    labels: int | None = None
    head: dict[str, Tensor] = field(default_factory=dict)
    left_out: str | None = None

    @property
    def modules(self) -> list[str] | None:
        """The modules that hold these tensors: the head, and a layer of the body's pooler."""
        paths = [name.split(".") for name in self.head]
        return sorted({p[0] if len(p) < 4 else ".".join(p[:-1]) for p in paths}) or None


@torch.no_grad()
def base(model: Adapted, batch: Batch) -> Base:
    """The base with the head in it where transformers has the same, the bare backbone elsewhere."""
    try:
        return _with_head(model, batch)
    except NoPlace as error:
        return Base(left_out=str(error))


def _with_head(model: Adapted, batch: Batch) -> Base:
    head: Any = model.head
    if type(head) not in HEADS:
        raise NoPlace(f"PEFT has no task for the head '{head.name}'")
    task, auto = HEADS[type(head)]
    if head.pretrained is not None:
        return Base(task, auto.__name__)
    config = copy.deepcopy(model.backbone.model.config)
    config.num_labels = head.classifier.out_features
    try:
        with torch.device("meta"):  # the body's weights are the backbone's
            whole = auto.from_config(config).eval()
    except ValueError as error:
        raise NoPlace(f"{auto.__name__} knows no '{config.model_type}'") from error
    tensors = _placed(model, whole)
    setattr(whole, whole.base_model_prefix, model.backbone.model)
    whole.load_state_dict(tensors, strict=False, assign=True)
    _check(model, whole, batch)
    return Base(task, auto.__name__, config.num_labels, tensors)


def _placed(model: Adapted, whole: PreTrainedModel) -> dict[str, Tensor]:
    """The trained tensors by their names in `whole`. Raises NoPlace where they have none."""
    backbone: Any = model.backbone
    linear: Any = model.head.classifier
    body = f"{whole.base_model_prefix}."
    shapes = {name: parameter.shape for name, parameter in whole.named_parameters()}
    wanted = {name: shape for name, shape in shapes.items() if not name.startswith(body)}
    place = min(wanted, default="").partition(".")[0]
    head = {f"{place}.{n}": p for n, p in linear.named_parameters()}
    if backbone.pooling is Pooling.pooler and f"{place}.dense.weight" in wanted:
        # RoBERTa's classifier has the pooler in it
        head = {f"{place}.out_proj.{n}": p for n, p in linear.named_parameters()}
        head |= {f"{place}.{n}": p for n, p in backbone.model.pooler.named_parameters()}
    if {name: parameter.shape for name, parameter in head.items()} != wanted:
        raise NoPlace(
            f"{type(whole).__name__} has {', '.join(wanted)}, and what was trained is "
            f"{', '.join(head)}"
        )
    made = {f"{body}{n}": p for n, p in backbone.model.named_parameters() if n in backbone.made}
    return head | {name: parameter for name, parameter in made.items() if name in shapes}


def _check(model: Adapted, whole: PreTrainedModel, batch: Batch) -> None:
    """Raises NoPlace where the same head answers otherwise in transformers' model."""
    backbone = model.backbone
    inputs = model.prompt(batch, backbone)
    backbone.injection.prefix = inputs.prefix
    found = whole(
        inputs_embeds=inputs.embeds,
        attention_mask=inputs.mask.long(),
        **backbone.accepted(token_type_ids=inputs.types, position_ids=inputs.positions),
    ).logits
    expected = model(batch)
    seen = batch.mask if expected.ndim == 3 else slice(None)
    if not equal(found[seen], expected[seen]):
        raise NoPlace(
            f"{type(whole).__name__} reads another place of the text than "
            f"model.pooling={backbone.pooling}, which looks behind the pseudo tokens"
        )


def equal(found: Tensor, expected: Tensor) -> bool:
    """Whether half of the digits agree: the same function, its sums perhaps in another order."""
    bound = torch.finfo(expected.dtype).eps ** 0.5 * expected.abs().max()
    return bool((found - expected).abs().max() <= bound)
