"""One model's way through its training data, step by step."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ptbench.answers import Asked
from ptbench.batches import Shuffled
from ptbench.draws import Draws
from ptbench.errors import Diverged
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Features
from ptbench.method import Adapted
from ptbench.optimisation import Training, optimizer, scheduler
from ptbench.templates import Encoder

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


@dataclass(frozen=True)
class MicroBatch:
    """A part of a batch, with the factor that makes the sum of the parts' losses a mean."""

    batch: Batch
    factor: float


class Kept(NamedTuple):
    """What a job has before a pass: its gradients, and where its random numbers stand."""

    gradients: list[Tensor | None]
    draws: list[Tensor]


class Job:
    """One model's way through its training data: its optimiser, schedule, order and best state."""

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
        if training.keep is not None:
            model.keep(training.keep * 1e9)
        self.accelerator = accelerator
        self.observer: Observer = Silent()
        self.loader = _loader(model, encoder, train.features, training, seed, accelerator.device)
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
        self.failure: Exception | None = None
        self.shares, self.draws = False, Draws(accelerator.device)
        self.width = 1  # the most jobs that passed with it, itself among them

    def own(self) -> AbstractContextManager[None]:
        """Draws random numbers as if alone, where others are beside it."""
        return self.draws.own() if self.shares else nullcontext()

    def kept(self) -> Kept:
        """What a pass changes, so that it can be made again."""
        gradients = [None if p.grad is None else p.grad.clone() for p in self.trained]
        return Kept(gradients, self.draws.state)

    def put_back(self, kept: Kept) -> None:
        """As before the pass."""
        self.draws.state = kept.draws
        for parameter, gradient in zip(self.trained, kept.gradients, strict=True):
            parameter.grad = gradient

    def attempt(self, action: Callable[[], None]) -> None:
        """Does it; its fault ends this job and no other."""
        try:
            action()
        except Exception as error:  # whatever it is, the others go on
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the job without a result."""
        self.failure, self.finished = error, True

    def next_batch(self) -> list[MicroBatch]:
        """The next batch in the parts in which it passes."""
        with self.own():  # a loader draws a number each epoch
            parts = next(self._batches)
        targets = sum(int((part.targets != IGNORE).sum()) for part in parts)
        device = self.accelerator.device
        return [MicroBatch(part.to(device), 1 / max(targets, 1)) for part in parts]

    def _endless(self) -> Iterator[list[Batch]]:
        while True:
            yield from self.loader

    def observe(self, loss: Tensor) -> None:
        """Adds a part's loss to the mean that is reported."""
        self._loss += loss

    def update(self) -> None:
        """One optimiser step on the gradients so far."""
        nn.utils.clip_grad_norm_(self.trained, self.training.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.step += 1
        self._counted += 1

    @property
    def looks(self) -> bool:
        """Whether a look at this step reads the loss, and so waits for the device."""
        return self.step % REPORT_EVERY == 0 or self.ends_epoch

    @property
    def ends_epoch(self) -> bool:
        """Whether an evaluation follows this step."""
        return self.step % self.steps_per_epoch == 0

    def look(self) -> None:
        """Reports the loss now and then. Raises Diverged where nothing is left to evaluate."""
        if self.step % REPORT_EVERY == 0:
            self.observer.stepped(self.step, self._mean_loss())
        if self.ends_epoch:
            self._mean_loss()
            if not all(bool(p.isfinite().all()) for p in self.trained):
                raise self._diverged("a weight is no longer finite")

    @property
    def asked(self) -> Asked:
        """The examples that an evaluation answers."""
        return Asked(self.model, self.encoder, self.select.features, self.training.batch_size)

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

    def end_epoch(self, found: list[Any]) -> None:
        """Scores what the job answered, keeps it if it is the best, and says whether to go on."""
        loss = self._mean_loss()
        score = self.model.kind.main_score(found, self.select.references)
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


def _loader(
    model: Adapted,
    encoder: Encoder,
    features: list[Features],
    training: Training,
    seed: int,
    device: torch.device,
) -> DataLoader[Any]:
    """Shuffled batches, each cut into the parts that pass one by one.

    A GPU's are made while it is at the step before, in memory that it copies by itself.
    """

    def collate(some: list[Features]) -> list[Batch]:
        size = math.ceil(len(some) / training.accumulate)
        parts = [some[i : i + size] for i in range(0, len(some), size)]
        return [model.kind.collate(part, encoder) for part in parts]

    batches = Shuffled(features, training.batch_size, seed)
    pinned = device.type == "cuda"
    return DataLoader(features, batch_sampler=batches, collate_fn=collate, pin_memory=pinned)  # pyright: ignore[reportArgumentType]
