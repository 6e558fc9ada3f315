"""bf16: autocast over a float32 backbone, a frozen backbone in bfloat16, and recomputed layers."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from ptbench import listing
from ptbench.backbones import Backbone
from ptbench.cell import train
from ptbench.errors import BackboneError
from ptbench.inputs import Batch
from ptbench.kinds import Kind
from ptbench.method import Adapted
from ptbench.models import DType, Random, enable_checkpointing
from ptbench.task import Task
from ptbench.templates import Encoder
from ptbench.train import Job, Observer, Silent
from tests.conftest import KINDS, sentences
from tests.runs import built

METHODS = tuple(listing.choices("method"))
TUNED = ("finetune", "ptuning_v1_tuned")
FROZEN = tuple(method for method in METHODS if method not in TUNED)
SHORT = ("train.epochs=4", "train.batch_size=8", "train.warmup=0", "train.learning_rate=1e-2")
AUTOCAST, WEIGHTS = "train.precision=bf16", "model.dtype=bfloat16"
RUNS = [(method, AUTOCAST) for method in METHODS] + [(method, WEIGHTS) for method in FROZEN]


@pytest.fixture(autouse=True)
def _precision_ends_with_the_test() -> Any:
    yield
    AcceleratorState._reset_state()  # accelerate keeps it in the process


@cache
def cell_of(method: str, *settings: str) -> Any:
    return built(f"method={method}", "model=tiny", *SHORT, *settings)


def loaded(tiny: Random, dtype: DType) -> Backbone:
    torch.manual_seed(0)
    return replace(tiny, dtype=dtype).load()


def adapted(method: str, backbone: Backbone, kind: Kind) -> Adapted:
    torch.manual_seed(1)
    return cell_of(method).method.adapt(backbone, kind)


def batch_of(model: Adapted) -> Batch:
    encoder, kind = Encoder(model.backbone.tokenizer, 32), model.kind
    rows = sentences("train", 6, 0)
    return kind.collate([kind.encode(row, encoder, kind.template) for row in rows], encoder)


def first_layer(backbone: Backbone) -> Any:
    model: Any = backbone.model
    return model.encoder.layer[0]


@pytest.mark.parametrize(("method", "setting"), RUNS, ids=str)
def test_training_in_bf16(method: str, setting: str, tasks: dict[str, Task]) -> None:
    cell = replace(cell_of(method, setting), task=tasks["labelling"])
    products: set[torch.dtype] = set()
    before: dict[str, torch.Tensor] = {}

    def note(module: Any, given: Any, product: torch.Tensor) -> None:
        if torch.is_grad_enabled():  # in training, as evaluation has no autocast
            products.add(product.dtype)

    def observe(job: Job) -> Observer:
        first_layer(job.model.backbone).output.dense.register_forward_hook(note)
        before.update({n: p.detach().clone() for n, p in job.model.named_parameters()})
        return Silent()

    result = train(cell, observe)
    model, losses = result.model, [point["loss"] for point in result.facts["curve"]]
    assert products == {torch.bfloat16}
    assert all(map(math.isfinite, losses)) and losses[-1] < losses[0]
    pretrained = {id(p) for p in model.pretrained()}
    weights = torch.bfloat16 if setting == WEIGHTS else torch.float32
    for name, parameter in model.named_parameters():
        ours = id(parameter) not in pretrained
        assert parameter.dtype == (torch.float32 if ours else weights)
        if ours or model.frozen:
            assert torch.equal(parameter, before[name]) != ours


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", FROZEN)
def test_a_backbone_in_bfloat16_gives_nearly_the_same_logits(
    method: str, kind: str, tiny: Random
) -> None:
    logits = []
    for dtype in DType:
        model = adapted(method, loaded(tiny, dtype), KINDS[kind]).eval()
        logits.append(model(batch_of(model)).float())
    full, low = logits
    assert 0 < (low - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("method", ["prompt_tuning", "ptuning_v2"])
def test_a_family_in_bfloat16_takes_and_trains_float32_prompts(
    build_backbone: Callable[..., Backbone], family: str, method: str
) -> None:
    backbone = build_backbone(family, vocab_size=200).float()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter *= 0.2  # or rounding would grow from layer to layer
    model = adapted(method, backbone, KINDS["labelling"]).eval()
    batch = batch_of(model)
    full = model(batch)
    for parameter in backbone.parameters():  # and no buffers, as checkpoints are loaded
        parameter.data = parameter.data.bfloat16()
    low = model(batch)
    assert 0 < (low - full).norm() < 0.05 * full.norm()
    model.kind.loss(low, batch).backward()
    for parameter in (*model.prompt.parameters(), *model.head.parameters()):
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all() and parameter.grad.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", TUNED)
def test_a_backbone_that_trains_needs_float32_weights(method: str, kind: str, tiny: Random) -> None:
    remedy = r"model\.dtype=bfloat16: .*set model\.dtype=float32, and train\.precision=bf16"
    with pytest.raises(BackboneError, match=remedy):
        adapted(method, loaded(tiny, DType.bfloat16), KINDS[kind])


@pytest.mark.parametrize(
    ("method", "dtype"),
    [(m, DType.float32) for m in METHODS] + [(m, DType.bfloat16) for m in FROZEN],
)
def test_checkpointing_under_autocast_recomputes_and_gives_equal_gradients(
    method: str, dtype: DType, tiny: Random
) -> None:
    gradients, passes = [], []
    for checkpointing in (False, True):
        backbone = loaded(tiny, dtype)
        if checkpointing:
            enable_checkpointing(backbone.model)
        model = adapted(method, backbone, KINDS["labelling"]).train()
        batch = batch_of(model)
        calls: list[None] = []
        first_layer(backbone).attention.register_forward_hook(
            lambda *_, calls=calls: calls.append(None)
        )
        torch.manual_seed(2)  # of the dropout
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch)
        model.kind.loss(logits, batch).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        passes.append(len(calls))
    through = model.prompt.encoder is not None or not model.frozen
    assert passes == [1, 2 if through else 1]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)
