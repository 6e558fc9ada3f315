"""The training loop: parts of a batch, jobs side by side, schedules, selection, order."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from omegaconf import OmegaConf
from torch import Tensor

from ptbench import train as trained_by
from ptbench.answers import Asked
from ptbench.backbones import Backbone
from ptbench.build import build
from ptbench.encoders import LSTM, Table
from ptbench.errors import Diverged
from ptbench.inputs import IGNORE
from ptbench.kinds import Kind
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.optimisation import Schedule, Training
from ptbench.paths import CONF
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt
from ptbench.task import Task
from ptbench.templates import Encoder as Layout
from ptbench.train import Job, Part, fit

ROWS = 24
TRAINING = replace(
    build(OmegaConf.load(CONF / "config.yaml").train, "train", Training),
    epochs=4,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=0.01,
    warmup=0.2,
)
Tasks = dict[str, Task]


@pytest.fixture
def backbone(tiny: Random) -> Backbone:
    """The tiny backbone in float64, its dropout off."""
    torch.manual_seed(0)
    return quiet(tiny.load().double())


def quiet(module: Any) -> Any:
    """Turns every dropout off."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if hasattr(part, "dropout_prob"):
            part.dropout_prob = 0.0
    return module


def adapted(
    backbone: Backbone, kind: Kind, place: str = "layers", seed: int = 0, frozen: bool = True
) -> Adapted:
    """An adapted model in float64 without dropout."""
    torch.manual_seed(seed)
    prompt: Prompt = Prompt()
    if place == "layers":
        prompt = LayerPrompt(backbone, Table(3, LayerPrompt.width(backbone), 0.5), 0.0, True)
    elif place == "words":
        kind = kind.in_front(2)
        prompt = InputPrompt(LSTM(2, backbone.words.embedding_dim, 8))
    head = kind.head(backbone)
    model = Adapted(kind, backbone, prompt, head, frozen=frozen, backbone_dropout=False)
    return quiet(model.double())


def job(model: Adapted, task: Task, seed: int = 0, **changes: Any) -> Job:
    layout = Layout(model.backbone.tokenizer, 32)
    rows = task.source.rows("train", None)
    template = model.kind.template

    def part(some: Sequence[Any]) -> Part:
        features = [model.kind.encode(row, layout, template) for row in some]
        return Part(features, [model.kind.reference(row) for row in some])

    training = replace(TRAINING, **changes)
    accelerator = Accelerator(cpu=not model.backbone.words.weight.is_cuda)
    return Job(model, layout, part(rows[:ROWS]), part(rows[ROWS:]), training, seed, accelerator)


def trained(*jobs: Job) -> list[dict[str, Tensor]]:
    """What each job's model is at the end of its training, whichever epoch was the best."""
    for some in jobs:
        some.model.restore = lambda state: None
    fit(jobs, jobs[0].accelerator)
    return [some.model.trained_state() for some in jobs]


def close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", ["classification", "labelling"])
@pytest.mark.parametrize("accumulate", [3, 4])
def test_accumulation_equals_the_whole_batch(
    kind: str, accumulate: int, tasks: Tasks, backbone: Backbone
) -> None:
    ends = [
        trained(job(adapted(backbone, tasks[kind].kind), tasks[kind], accumulate=parts))[0]
        for parts in (1, accumulate)
    ]
    close(ends[1], ends[0], 1e-12)


def test_jobs_side_by_side_equal_each_alone(tasks: Tasks, backbone: Backbone) -> None:
    first, second = tasks["classification"], tasks["labelling"]
    other = {"epochs": 5, "batch_size": 6, "accumulate": 2, "learning_rate": 3e-3, "clip": 0.1}
    other["schedule"] = Schedule.exponential

    def jobs() -> list[Job]:
        return [
            job(adapted(backbone, first.kind, "layers", 1), first, 1, epochs=7),
            job(adapted(backbone, second.kind, "words", 2), second, 2, **other),
        ]

    together, alone = jobs(), jobs()
    ends = trained(*together)
    for some, separate, end in zip(together, alone, ends, strict=True):
        close(end, trained(separate)[0], 1e-9)
        assert separate.step == some.step >= 20
        for here, there in zip(some.curve, separate.curve, strict=True):
            assert (here.step, here.score) == (there.step, there.score)
            assert here.loss == pytest.approx(there.loss, abs=1e-6)


def test_one_step_is_adamw_on_the_mean_loss(tasks: Tasks, backbone: Backbone) -> None:
    task = tasks["labelling"]
    model, reference = (adapted(backbone, task.kind) for _ in range(2))
    run = job(model, task, epochs=1, batch_size=ROWS, warmup=0.0, schedule=Schedule.constant)
    other = job(reference, task, batch_size=ROWS)
    (part,) = other.next_batch()
    batch, targets = part.batch, part.batch.targets.flatten()
    losses = torch.nn.functional.cross_entropy(
        reference(batch).flatten(0, 1)[targets != IGNORE], targets[targets != IGNORE]
    )
    assert part.factor == 1 / (targets != IGNORE).sum()
    losses.backward()
    parameters = [p for p in reference.parameters() if p.requires_grad]
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.01).step()
    close(trained(run)[0], reference.trained_state(), 1e-12)
    assert run.curve[0].loss == pytest.approx(losses.item(), abs=1e-6)


def test_prompt_head_and_backbone_have_their_rates(tasks: Tasks, backbone: Backbone) -> None:
    task = tasks["classification"]
    model = adapted(backbone, task.kind, "words", frozen=False)
    run = job(model, task, head_learning_rate=1e-3, backbone_learning_rate=1e-4, warmup=0.0)
    rates = {
        id(parameter): group["lr"]
        for group in run.optimizer.param_groups
        for parameter in group["params"]
    }
    assert {rates[id(p)] for p in model.prompt.parameters()} == {1e-2}
    assert {rates[id(p)] for p in model.new_head()} == {1e-3}
    assert {rates[id(p)] for p in model.pretrained()} == {1e-4}
    assert len(rates) == sum(1 for _ in model.parameters())


# 10 steps, 5 an epoch, warm-up of 2: (step + 1) / 3, then what remains over 8 steps
FACTORS = {
    Schedule.linear: [1 / 3, 2 / 3, 8 / 8, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8],
    Schedule.exponential: [1 / 3, 2 / 3, 1, 1, 1, 0.95, 0.95, 0.95, 0.95, 0.95],
    Schedule.constant: [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1, 1],
}


@pytest.mark.parametrize("schedule", Schedule)
def test_schedules(schedule: Schedule, tasks: Tasks, backbone: Backbone) -> None:
    task = tasks["classification"]
    model = adapted(backbone, task.kind, "none")
    run = job(model, task, batch_size=5, epochs=2, schedule=schedule, warmup=0.2)
    assert run.total_steps == 10
    rates = []
    for _ in range(10):
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.update()
    assert rates == pytest.approx([factor * 1e-2 for factor in FACTORS[schedule]])


def scripted(scores: list[float], states: list[dict[str, Tensor]]) -> Callable[..., Any]:
    """Answers that score what the script says, epoch by epoch; keeps the state of each."""

    def answer(asked: Sequence[Asked]) -> list[list[int]]:
        (one,) = asked
        states.append(one.model.trained_state())
        truth: list[Any] = [feature.target for feature in one.features]
        right = round(scores[len(states) - 1] * len(truth))
        return [truth[:right] + [1 - label for label in truth[right:]]]

    return answer


@pytest.mark.parametrize(
    ("patience", "scores", "epochs", "best"),
    [
        (None, [0.25, 0.75, 0.5, 0.75], 4, 2),  # the first of equals
        (1, [0.25, 0.5, 0.25, 1.0], 3, 2),
        (2, [0.5, 0.25, 0.5, 1.0], 3, 1),  # an equal score is no gain
        (2, [0.5, 0.25, 0.75, 1.0], 4, 4),
    ],
)
def test_the_best_epoch_is_kept_and_patience_ends(
    patience: int | None,
    scores: list[float],
    epochs: int,
    best: int,
    tasks: Tasks,
    backbone: Backbone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states: list[dict[str, Tensor]] = []
    monkeypatch.setattr(trained_by, "answer", scripted(scores, states))
    task = tasks["classification"]
    run = job(adapted(backbone, task.kind), task, patience=patience)
    fit([run], run.accelerator)
    assert len(run.curve) == len(states) == epochs
    assert run.best is not None and run.best.epoch == best
    close(run.model.trained_state(), states[best - 1], 0.0)


def test_divergence_is_raised_with_the_setting_to_change(tasks: Tasks, backbone: Backbone) -> None:
    task = tasks["classification"]
    run = job(adapted(backbone, task.kind), task, learning_rate=math.inf, epochs=2)
    with pytest.raises(Diverged, match=r"loss is nan by step \d+ of 6; lower train.learning_rate"):
        fit([run], run.accelerator)


def order(run: Job) -> list[list[list[int]]]:
    return [part.batch.ids.tolist() for _ in range(6) for part in run.next_batch()]


def test_the_order_depends_on_the_seed_alone(tasks: Tasks, backbone: Backbone) -> None:
    task = tasks["classification"]
    model = adapted(backbone, task.kind)
    first = job(model, task, seed=5)
    expected = order(first)
    torch.manual_seed(99)
    other = adapted(backbone, task.kind, "layers", seed=7)
    assert order(job(other, task, seed=5, learning_rate=1.0)) == expected
    assert order(job(model, task, seed=6)) != expected
    assert expected[:3] != expected[3:], "each epoch has an order of its own"
