"""Gradient checkpointing: activations computed again in the backward pass, not kept."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from ptbench.errors import BackboneError

_RECOMPUTING: WeakSet[PreTrainedModel] = WeakSet()


def enable_checkpointing(model: PreTrainedModel) -> None:
    """Has each layer recompute its activations in the backward pass.

    Of itself transformers does so in training mode alone, but a frozen backbone whose dropout is
    off trains in evaluation mode. Raises BackboneError where there are no such layers.
    """
    layers = [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]
    if not layers:
        raise BackboneError(
            f"model.gradient_checkpointing=true: transformers cannot recompute the layers of "
            f"architecture '{model.config.model_type}'; set model.gradient_checkpointing=false"
        )
    _RECOMPUTING.add(model)
    for layer in layers:
        layer.forward = partial(_recomputed, layer.forward)


def recomputes(model: PreTrainedModel) -> bool:
    """Whether layers do so."""
    return model in _RECOMPUTING


def _recomputed(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **named)
    return checkpoint(forward, *arguments, use_reentrant=False, **named)
