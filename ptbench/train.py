"""The one training loop: jobs that share a backbone, a single run being a list of one."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ptbench.answers import Asked, answer
from ptbench.cost import PeakMemory, memory_limit, out_of_memory, synchronize
from ptbench.job import Job, MicroBatch, Observer, Part, Point, Silent
from ptbench.method import forward

__all__ = ["Job", "Observer", "Part", "Point", "Silent", "answered", "fit"]

GAIN = 0.97  # of the time that a job took so far, for which more jobs a pass are worth a try
Present = list[tuple[Job, MicroBatch]]


def fit(jobs: Sequence[Job], accelerator: Accelerator, width: int | None = None) -> int | None:
    """Trains all jobs to their ends, each to the state of its best epoch; the width at the end.

    Several share a pass through a frozen backbone, `width` of them at a time (None: as many as is
    fastest in the first step, where memory holds them). Each draws random numbers of its own, but
    for the backbone's dropout; without that a job ends as it would have ended alone. One that fails
    (its loss is not a number, memory does not hold it) leaves with its `failure`, and the others go
    on. The failure of a single job is raised.
    """
    for job in jobs:
        job.shares = len(jobs) > 1
    while live := [job for job in jobs if not job.finished]:
        started = time.perf_counter()
        width = _step(live, width, accelerator)
        if any(job.looks for job in live):
            synchronize(accelerator.device)  # a look waits for what is training's time
        seconds = (time.perf_counter() - started) / len(live)
        for job in live:
            job.train_seconds += seconds
            if not job.finished:
                job.attempt(job.look)
        asked = {job: job.asked for job in live if job.ends_epoch and not job.finished}
        for job, found in answered(asked, width):
            job.attempt(partial(job.end_epoch, found))
    for job in jobs:
        if job.failure is None:
            job.model.restore(job.best_state)
        elif not job.shares:
            raise job.failure
    return width


def answered(
    asked: Mapping[Job, Asked], width: int | None = None
) -> Iterator[tuple[Job, list[Any]]]:
    """Each job with its answers, `width` of them a pass (None: all).

    A job that cannot answer fails, and the others go on.
    """
    everyone = list(asked.items())
    width = width or max(len(everyone), 1)
    for first in range(0, len(everyone), width):
        some = everyone[first : first + width]
        jobs, questions = zip(*some, strict=True)
        try:
            found = answer(questions)
        except Exception as error:  # of one job's making, or for want of memory
            if len(jobs) == 1:
                jobs[0].fail(error)
            else:
                yield from answered(dict(some), (len(jobs) + 1) // 2)
        else:
            yield from zip(jobs, found, strict=True)


def _step(jobs: Sequence[Job], width: int | None, accelerator: Accelerator) -> int | None:
    """One step of each job, `width` of them a pass; how many pass at once from now on."""
    for job in jobs:
        job.model.learn()
    for parts in zip_longest(*(job.next_batch() for job in jobs)):
        there = zip(jobs, parts, strict=True)
        present = [(job, part) for job, part in there if part and not job.finished]
        present.sort(key=lambda one: one[1].batch.ids.shape[1])  # the less padding in a pass
        if width is None:
            width = _fastest(present, accelerator)
        width = _learn(present, width, accelerator)
    for job in jobs:
        if not job.finished:
            job.attempt(job.update)
    return width


def _fastest(present: Present, accelerator: Accelerator) -> int:
    """How many jobs a pass make the most of a second: 1, 2, 4, ... or all; leaves no trace.

    Each number is tried once, on jobs of middling length. It goes no further than where a job
    gains next to nothing, or what the next number would take, as the last ones grew, has no room.
    """
    device, memory, state = (
        accelerator.device,
        PeakMemory(accelerator.device),
        torch.get_rng_state(),
    )
    widths = [w for w in (1 << n for n in range(len(present).bit_length())) if w < len(present)]
    seconds: dict[int, float] = {}  # a job
    peak = memory.bytes()
    for width in [1, *widths, len(present)] if widths else []:  # the first warms up
        first = (len(present) - width) // 2
        some = present[first : first + width]
        before = [job.kept() for job, _ in some]
        started = time.perf_counter()
        try:
            _pass(some, accelerator)
            synchronize(device)
        except Exception:  # if it is not for want of memory, training meets it again
            break
        finally:
            for (job, _), kept in zip(some, before, strict=True):
                job.put_back(kept)
            torch.set_rng_state(state)
        fastest = min(seconds.values(), default=math.inf)
        seconds[width] = (time.perf_counter() - started) / width
        grown, peak = memory.bytes() - peak, memory.bytes()
        gains = width == 1 or seconds[width] < GAIN * fastest
        if not gains or peak + 2 * grown > memory_limit(device):
            break
    return min(seconds, key=lambda width: seconds[width], default=len(present))


def _learn(present: Present, width: int, accelerator: Accelerator) -> int:
    """Adds the gradients of a part of each job's batch; half the width where memory is short.

    Jobs whose pass fails otherwise pass again one by one, which shows whose fault it is.
    """
    done = 0
    while done < len(present):
        some = present[done : done + width]
        before = [job.kept() for job, _ in some] if len(some) > 1 else []
        try:
            losses = _pass(some, accelerator)
        except Exception as error:  # of one job's making, and must not end the others
            for (job, _), kept in zip(some, before, strict=bool(before)):
                job.put_back(kept)
            if before and out_of_memory(error):
                width = (len(some) + 1) // 2
                continue
            if not before:
                some[0][0].fail(error)
            else:
                _learn(some, 1, accelerator)
        else:
            for loss, (job, _) in zip(losses, some, strict=True):
                job.observe(loss)
                job.width = max(job.width, len(some))
        done += len(some)
    return width


def _pass(present: Present, accelerator: Accelerator) -> list[Tensor]:
    """One forward and one backward pass of all; their losses."""
    jobs, parts = zip(*present, strict=True)
    with accelerator.autocast():
        batches = [part.batch for part in parts]
        logits = forward([job.model for job in jobs], batches, [job.own for job in jobs])
    losses = [
        job.model.kind.loss(logit, part.batch) * part.factor
        for logit, (job, part) in zip(logits, present, strict=True)
    ]
    accelerator.backward(torch.stack(losses).sum())
    return [loss.detach() for loss in losses]
