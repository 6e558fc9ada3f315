"""Only what needs gradients is computed: no graph below the lowest prompt, none in a probe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers.modeling_layers import GradientCheckpointingLayer

from ptbench.backbones import Backbone
from ptbench.inputs import Batch
from ptbench.method import Adapted
from tests.conftest import KINDS
from tests.test_families import WORDS, batch_of
from tests.test_fused import method

ONE_STACK = ("bert", "modernbert", "deberta", "gpt2", "llama")
Build = Callable[..., Backbone]


@pytest.fixture(params=ONE_STACK)
def backbone(request: pytest.FixtureRequest, build_backbone: Build) -> Backbone:
    return build_backbone(request.param, vocab_size=WORDS)


def adapted(backbone: Backbone, name: str, **settings: Any) -> tuple[Adapted, Batch]:
    made = replace(method(name), **settings).adapt(backbone, KINDS["labelling"]).double()
    return made.train(), batch_of(made)


@contextmanager
def followed(backbone: Backbone) -> Iterator[list[bool]]:
    """Whether each call of a layer gives what has a graph, call after call."""
    seen: list[bool] = []

    def note(_: Any, __: Any, output: Any) -> None:
        seen.append((output if isinstance(output, Tensor) else output[0]).requires_grad)

    layers = [part for part in backbone.modules() if isinstance(part, GradientCheckpointingLayer)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    yield seen
    for handle in handles:
        handle.remove()


def saved(model: Adapted, batch: Batch) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not tensor.is_leaf:  # weights are there anyway
            sizes[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        model(batch)
    return sum(sizes.values())


def test_no_graph_below_the_lowest_prompt(backbone: Backbone) -> None:
    for layers, graph in (([2], [False, False, True]), ([1, 2], [False, True, True])):
        model, batch = adapted(backbone, "ptuning_v2", layers=layers)
        with followed(backbone) as seen:
            model(batch)
        assert seen == graph
    low, high = (saved(*adapted(backbone, "ptuning_v2", layers=layers)) for layers in ([0, 2], [2]))
    assert high < low / 2


def test_no_graph_in_a_probes_backbone(backbone: Backbone) -> None:
    model, batch = adapted(backbone, "linear_probe")
    with followed(backbone) as seen:
        logits = model(batch)
    assert seen == [False] * 3 and logits.requires_grad


@pytest.mark.parametrize("name", ["ptuning_v2", "prompt_tuning", "linear_probe"])
def test_no_gradients_of_a_frozen_backbones_weights(backbone: Backbone, name: str) -> None:
    model, batch = adapted(backbone, name)
    model(batch).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in model.pretrained())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
