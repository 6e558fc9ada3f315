"""Every method of conf/method on every kind of task: what trains, what stays, how much it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from transformers import BertConfig, BertModel

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.cell import Cell, train
from ptbench.cost import parameters
from ptbench.encoders import LSTM, MLP, Encoder, Table
from ptbench.inputs import IGNORE
from ptbench.kinds import Choice, Cloze
from ptbench.method import Adapted, Method
from ptbench.models import Random
from ptbench.paths import CONF
from ptbench.prompts import LayerPrompt
from ptbench.run import build_cell
from ptbench.task import Task
from ptbench.templates import Encoder as Layout
from ptbench.train import Job, Observer, Silent

METHODS = sorted(file.stem for file in (CONF / "method").glob("*.yaml"))
WIDTH, LAYERS = 32, 2  # of conf/model/tiny.yaml
LOGITS = {Cloze: 0, Choice: 1}  # of a new head, where they are not one a label
TINY = Random(Pooling.first, lm_head=True, width=32, layers=2, heads=4, positions=256)
Compose = Callable[..., DictConfig]


@dataclass(frozen=True)
class Trained:
    """A cell at the end of its training, with the state and the loss that it began with."""

    model: Adapted
    before: dict[str, Tensor]
    first_loss: float
    last_loss: float
    curve: list[float]


@torch.no_grad()
def whole_loss(job: Job) -> float:
    """The mean loss on all training data, dropout off."""
    kind = job.model.kind
    batch = kind.collate(list(job.loader.dataset), job.encoder)
    loss = kind.loss(job.model.eval()(batch), batch) / (batch.targets != IGNORE).sum()
    return loss.item()


@pytest.fixture(scope="module")
def trained(composed: Compose) -> Callable[..., Trained]:
    """`trained(method, task, seed)`: that cell on tiny, trained once for all tests."""
    steps = ("train.epochs=4", "train.batch_size=8", "train.warmup=0", "train.learning_rate=1e-2")

    @cache
    def run(method: str, task: Task, seed: int) -> Trained:
        config = composed(f"method={method}", "model=tiny", f"seed={seed}", *steps)
        cell: Cell = replace(build_cell(config), task=task)
        jobs: list[Job] = []
        before: dict[str, Tensor] = {}
        losses: list[float] = []

        def observe(job: Job) -> Observer:
            jobs.append(job)
            before.update({n: p.detach().clone() for n, p in job.model.named_parameters()})
            losses.append(whole_loss(job))
            job.model.restore = lambda state: None  # the last epoch is what these tests are about
            return Silent()

        result = train(cell, observe)
        curve = [point["loss"] for point in result.facts["curve"]]
        return Trained(result.model, before, losses[0], whole_loss(jobs[0]), curve)

    return run


@pytest.fixture(scope="module", params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    """Each method, by the name of its file."""
    return request.param


@pytest.fixture(scope="module")
def cell(method: str, task: Task, trained: Callable[..., Trained], composed: Compose) -> Trained:
    """Each method trained on each kind of task."""
    model = build_cell(composed(f"method={method}")).method.adapt(TINY.load(), task.kind)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        pytest.skip("an LM head on a frozen backbone without a prompt has nothing to train")
    return trained(method, task, 0)


def test_the_loss_falls(cell: Trained) -> None:
    assert cell.last_loss < cell.first_loss


def test_what_is_frozen_is_bit_identical_and_all_else_moves(cell: Trained) -> None:
    model, before = cell.model, cell.before
    pretrained = {id(parameter) for parameter in model.pretrained()}
    still = {n for n, p in model.named_parameters() if torch.equal(p, before[n])}
    frozen = {n for n, p in model.named_parameters() if model.frozen and id(p) in pretrained}
    assert frozen <= still
    assert not {name for name in still - frozen if name.startswith(("prompt", "head"))}
    moved = {name for name in before if name.startswith("backbone")} - still
    assert bool(moved) == (not model.frozen)


def encoder_size(encoder: Encoder | None, place: str) -> int:
    """The formula of an encoder's parameters, from the tiny backbone's sizes and its own."""
    if encoder is None:
        return 0
    length = encoder.length
    width = WIDTH if place == "word embeddings" else LAYERS * 2 * WIDTH
    match encoder:
        case Table():
            return length * width
        case MLP():
            hidden = encoder.layers[0].out_features
            return length * WIDTH + (WIDTH + 1) * hidden + (hidden + 1) * width
        case LSTM():
            hidden = encoder.lstm.hidden_size
            gates = sum(2 * 4 * hidden * (size + hidden + 2) for size in (WIDTH, 2 * hidden))
            return length * width + gates + (2 * hidden + 1) * width + (width + 1) * width
    raise AssertionError(f"write the formula of {type(encoder).__name__} here")


def test_trainable_count_is_the_formula(cell: Trained) -> None:
    model = cell.model
    labels = LOGITS.get(type(model.kind), len(model.kind.labels))
    expected = encoder_size(model.prompt.encoder, model.prompt.place) + labels * (WIDTH + 1)
    backbone = sum(p.numel() for p in model.pretrained())
    counts = parameters(model)
    assert counts["trainable_parameters"] == expected + (0 if model.frozen else backbone)
    assert counts["total_parameters"] == expected + backbone


def test_folding_keeps_the_logits(cell: Trained, task: Task) -> None:
    model, encoder = cell.model.eval(), cell.model.prompt.encoder
    layout = Layout(model.backbone.tokenizer, task.max_length)
    rows = task.source.rows("test", None)
    features = [model.kind.encode(row, layout, model.kind.template) for row in rows]
    batch = model.kind.collate(features, layout)
    before = model(batch)
    model.prompt.fold()
    folded, after = model.prompt.encoder, model(batch)
    model.prompt.encoder = encoder  # the other tests share this cell
    assert type(folded) is (Table if encoder is not None else type(None))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


def test_the_seed_decides_the_curve(
    method: str, tasks: dict[str, Task], trained: Callable[..., Trained]
) -> None:
    task = tasks["labelling"]
    first, other = trained(method, task, 0), trained(method, task, 1)
    again = trained.__wrapped__(method, task, 0)
    assert first.curve == again.curve
    assert first.curve != other.curve
    after = dict(first.model.named_parameters())
    for name, parameter in again.model.named_parameters():
        assert torch.equal(parameter, after[name])


def large(layers: int = 24, width: int = 1024) -> Backbone:
    """A backbone of the papers' large size, or another, without memory."""
    with torch.device("meta"):
        config = BertConfig(
            vocab_size=120,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=16,
            intermediate_size=64,
            attn_implementation=NAMES["sdpa"],
        )
        return Backbone(BertModel(config), TINY.load().tokenizer, Pooling.first, None)


# what the originals' encoders hold at that size, counted from their code
PREFIXES = {
    8: 393_216,
    16: 786_432,
    20: 983_040,
    40: 1_966_080,
    64: 3_145_728,
    128: 6_291_456,
    224: 11_010_048,
}
PUBLISHED = [
    *(("ptuning_v2", {"prefix_length": length}, size) for length, size in PREFIXES.items()),
    ("prefix_tuning", {"prefix_length": 10, "hidden": 512}, 25_750_016),
    ("ptuning_v1_frozen", {"slot_length": 3}, 14_707_712),
]


@pytest.mark.parametrize(("method", "changes", "expected"), PUBLISHED)
def test_sizes_of_the_originals(
    method: str, changes: dict[str, Any], expected: int, composed: Compose, tasks: dict[str, Task]
) -> None:
    config = composed(f"method={method}", "model=tiny")
    kind = replace(tasks["labelling"].kind, pattern="[P] {tokens} [P] [P]")
    built: Method = replace(build_cell(config).method, **changes)
    backbone = large()
    with torch.device("meta"):
        encoder = built.adapt(backbone, kind).prompt.encoder
    assert encoder is not None
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected
    if method == "ptuning_v1_frozen":
        assert encoder.length * encoder.width == 9_216


@pytest.mark.parametrize(
    ("layers", "width", "length", "expected"),
    [(12, 768, 1, 18_432), (28, 4096, 128, 29_360_128)],
    ids=["a token on a base model", "ChatGLM-6B"],
)
def test_sizes_of_prefixes_elsewhere(layers: int, width: int, length: int, expected: int) -> None:
    assert length * LayerPrompt.width(large(layers, width)) == expected
