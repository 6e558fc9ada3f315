"""One step of several models over the frozen backbone that they share, by common passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from types import TracebackType

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from ptbench.inputs import Batch
from ptbench.method import Adapted, forward


class Stream:
    """Random numbers of one job, which others in the process do not move; a context to draw in."""

    def __init__(self, device: torch.device):
        self.device = device
        self.state = self._now()
        self._outer = self.state

    def __enter__(self) -> None:
        self._outer = self._now()
        self._set(self.state)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.state = self._now()
        self._set(self._outer)

    def _now(self) -> tuple[Tensor, ...]:
        cpu = torch.get_rng_state()
        return (cpu, torch.cuda.get_rng_state(self.device)) if self._cuda else (cpu,)

    def _set(self, state: tuple[Tensor, ...]) -> None:
        torch.set_rng_state(state[0])
        if self._cuda:
            torch.cuda.set_rng_state(state[1], self.device)

    @property
    def _cuda(self) -> bool:
        return self.device.type == "cuda"


@dataclass(frozen=True)
class MicroBatch:
    """A part of a batch, with the factor that makes the sum of the parts' losses a mean."""

    batch: Batch
    factor: float


@dataclass
class Turn:
    """A model's part in a step: its batch, then its loss or why it has none.

    `stream` gives the model's random numbers, so that a pass can be made again with the same.
    """

    model: Adapted
    parts: list[MicroBatch]
    stream: Stream
    loss: Tensor | None = None
    failure: Exception | None = None
    _drawn: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._drawn = self.stream.state

    @property
    def length(self) -> int:
        """The tokens of its longest row."""
        return max(part.batch.ids.shape[1] for part in self.parts)

    def undo(self) -> None:
        """Makes as if it had not passed."""
        self.model.zero_grad()
        self.stream.state, self.loss = self._drawn, None


class Passes:
    """Forward and backward of the models of a step, as many at once as `width` (None: all).

    Models whose batches are of like length pass together. The width falls where memory ends.
    """

    def __init__(self, accelerator: Accelerator, width: int | None = None):
        self.accelerator, self.width = accelerator, width

    def step(self, turns: Sequence[Turn]) -> None:
        """Gives each model its gradients and each turn its loss, or its failure."""
        waiting = sorted(turns, key=lambda turn: turn.length)
        while waiting:
            width = self.width or len(waiting)
            self._try(waiting[:width])
            waiting = waiting[width:]

    def _try(self, turns: Sequence[Turn]) -> None:
        """A pass; where it fails, one of each half, until what fails is alone."""
        try:
            return self._pass(turns)
        except Exception as error:
            for turn in turns:
                turn.undo()
            if len(turns) == 1:
                turns[0].failure = error
                return
            half = len(turns) // 2
            if out_of_memory(error):
                self.width = half
        clear_device_cache(garbage_collection=True)  # the failed pass is let go of by now
        self._try(turns[:half])
        self._try(turns[half:])

    def _pass(self, turns: Sequence[Turn]) -> None:
        for parts in zip_longest(*(turn.parts for turn in turns)):
            present = [(t, part) for t, part in zip(turns, parts, strict=True) if part]
            with self.accelerator.autocast():
                logits = forward([t.model for t, _ in present], [p.batch for _, p in present])
            losses = []
            for logit, (turn, part) in zip(logits, present, strict=True):
                loss = turn.model.kind.loss(logit, part.batch) * part.factor
                turn.loss = loss.detach() if turn.loss is None else turn.loss + loss.detach()
                losses.append(loss)
            self.accelerator.backward(torch.stack(losses).sum())


def out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the device or of the machine was too small."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
