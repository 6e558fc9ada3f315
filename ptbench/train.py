"""The one training loop: jobs that share a backbone, a single run being a list of one."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ptbench.batches import Shuffled, by_length
from ptbench.errors import Diverged
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Features
from ptbench.method import Adapted, respond
from ptbench.optimisation import Training, optimizer, scheduler
from ptbench.passes import MicroBatch, Passes, Stream, Turn
from ptbench.templates import Encoder

T = TypeVar("T")
REPORT_EVERY = 10  # steps between looks at the loss, since a look waits for the device


@dataclass(frozen=True)
class Point:
    """One evaluation: the mean loss since the last, and the main score on the selection split."""

    step: int
    epoch: float
    loss: float
    score: float


@runtime_checkable
class Observer(Protocol):
    """Who is told how a job goes."""

    def stepped(self, step: int, loss: float) -> None: ...

    def evaluated(self, point: Point) -> None: ...


class Silent:
    """An observer that looks away."""

    def stepped(self, step: int, loss: float) -> None: ...

    def evaluated(self, point: Point) -> None: ...


@dataclass(frozen=True)
class Part:
    """Encoded examples with what their predictions are scored against.

    `left_out` counts those that the backbone's vocabulary cannot answer.
    """

    features: list[Features]
    references: list[Any]
    left_out: int = 0


class Job:
    """One model's way through its training data: its optimiser, schedule, order and best state.

    `stream` gives its random numbers from here on; `failure` says why it ended before its time.
    """

    def __init__(
        self,
        model: Adapted,
        encoder: Encoder,
        train: Part,
        select: Part,
        training: Training,
        seed: int,
        accelerator: Accelerator,
    ):
        model.prompt.start(model.backbone)
        self.model, self.encoder, self.select, self.training = model, encoder, select, training
        self.accelerator = accelerator
        self.observer: Observer = Silent()
        self.loader = _loader(model, encoder, train.features, training, seed)
        self.steps_per_epoch = len(self.loader)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer: Any = accelerator.prepare(optimizer(model, training))
        total = self.steps_per_epoch * training.epochs
        self.schedule = scheduler(self.optimizer.optimizer, training, self.steps_per_epoch, total)
        self.total_steps, self.step, self.finished = total, 0, False
        self.train_seconds = 0.0
        self.curve: list[Point] = []
        self.best: Point | None = None
        self.best_state: dict[str, Tensor] = {}
        self._loss, self._counted = torch.zeros((), device=accelerator.device), 0
        self._batches = self._endless()
        self.stream = Stream(accelerator.device)
        self.failure: Exception | None = None

    def attempt(self, action: Callable[[], T]) -> T | None:
        """What the action gives; one that fails ends this job and no other."""
        try:
            return action()
        except Exception as error:
            self.fail(error)
            return None

    def fail(self, error: Exception) -> None:
        """Ends the job before its time."""
        self.failure, self.finished = error, True

    def next_batch(self) -> list[MicroBatch]:
        """The next batch in the parts in which it passes."""
        with self.model.stream:  # a loader draws a number for its workers
            parts = next(self._batches)
        targets = sum(int((part.targets != IGNORE).sum()) for part in parts)
        device = self.accelerator.device
        return [MicroBatch(part.to(device), 1 / max(targets, 1)) for part in parts]

    def _endless(self) -> Iterator[list[Batch]]:
        while True:
            yield from self.loader

    def observe(self, loss: Tensor) -> None:
        """Adds a batch's loss to the mean that is reported."""
        self._loss += loss

    def update(self) -> None:
        """One optimiser step on the gradients so far."""
        nn.utils.clip_grad_norm_(self.trained, self.training.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.step += 1
        self._counted += 1

    def look(self) -> None:
        """Reports the loss now and then, and evaluates at an epoch's end."""
        if self.step % REPORT_EVERY == 0:
            self.observer.stepped(self.step, self._mean_loss())
        if self.step % self.steps_per_epoch == 0:
            self._end_epoch()

    def _mean_loss(self) -> float:
        loss = self._loss.item() / max(self._counted, 1)
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        return loss

    def _diverged(self, sign: str) -> Diverged:
        return Diverged(
            f"{sign} by step {self.step} of {self.total_steps}; lower train.learning_rate="
            f"{self.training.learning_rate:g} or raise train.warmup={self.training.warmup:g}"
        )

    def _end_epoch(self) -> None:
        loss = self._mean_loss()
        if not all(bool(p.isfinite().all()) for p in self.trained):
            raise self._diverged("a weight is no longer finite")
        kind = self.model.kind
        found = predict(self.model, self.encoder, self.select.features, self.training.batch_size)
        score = kind.score(found, self.select.references)[kind.main_metric]
        point = Point(self.step, self.step / self.steps_per_epoch, loss, score)
        self.curve.append(point)
        if self.best is None or score > self.best.score:
            self.best, self.best_state = point, self.model.trained_state()
        self.observer.evaluated(point)
        self._loss.zero_()
        self._counted = 0
        waited = (self.step - self.best.step) / self.steps_per_epoch
        patience = self.training.patience
        exhausted = patience is not None and waited >= patience
        self.finished = self.step >= self.total_steps or exhausted


def fit(jobs: Sequence[Job], accelerator: Accelerator, width: int | None = None) -> None:
    """Trains all jobs to their ends, each to the state of its best epoch.

    Several jobs share a frozen backbone, through which as many as `width` pass at once (None: all).
    Each draws its own random numbers but for the backbone's dropout, so that without that it ends
    as it would have alone. A job that fails is left with its `failure`; the only one raises it.

    Raises ValueError for jobs that cannot pass together.
    """
    if len({job.model.company for job in jobs}) > 1:
        raise ValueError("these jobs cannot pass together: they share no frozen backbone")
    alone = len(jobs) == 1
    for job in jobs:
        job.model.stream = nullcontext() if alone else job.stream
    passes = Passes(accelerator, width)
    with jobs[0].stream if alone else nullcontext():
        while live := [job for job in jobs if not job.finished]:
            _step(live, passes)
    for job in jobs:
        if job.failure is None:
            job.model.restore(job.best_state)
        elif alone:
            raise job.failure


def _step(jobs: Sequence[Job], passes: Passes) -> None:
    """One step of every job."""
    started = time.perf_counter()
    turns: list[tuple[Job, Turn]] = []
    for job in jobs:
        if not job.model.training:
            job.model.train()
        if (parts := job.attempt(job.next_batch)) is not None:
            turns.append((job, Turn(job.model, parts, job.stream)))
    passes.step([turn for _, turn in turns])
    for job, turn in turns:
        if turn.failure is not None:
            job.fail(turn.failure)
        elif turn.loss is not None:
            job.observe(turn.loss)
            job.attempt(job.update)
    seconds = (time.perf_counter() - started) / len(jobs)
    for job in jobs:
        job.train_seconds += seconds
        if not job.finished:
            job.attempt(job.look)


@torch.no_grad()
def predict(
    model: Adapted, encoder: Encoder, features: Sequence[Features], batch_size: int
) -> list[Any]:
    """Predictions in the order of the features, made in batches of like length."""
    model.eval()
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(features)
    for places in by_length(features, batch_size):
        some = [features[place] for place in places]
        batch = model.kind.collate(some, encoder).to(device)
        for place, prediction in zip(places, respond([model], [batch])[0], strict=True):
            found[place] = prediction
    return found


def _loader(
    model: Adapted, encoder: Encoder, features: list[Features], training: Training, seed: int
) -> DataLoader[Any]:
    """Shuffled batches, each cut into the parts that pass one by one."""

    def collate(some: list[Features]) -> list[Batch]:
        size = math.ceil(len(some) / training.accumulate)
        parts = [some[i : i + size] for i in range(0, len(some), size)]
        return [model.kind.collate(part, encoder) for part in parts]

    batches = Shuffled(features, training.batch_size, seed)
    return DataLoader(features, batch_sampler=batches, collate_fn=collate)  # pyright: ignore[reportArgumentType]
