"""Passes what a job says on to the progress bar and to tracking."""

import sys
from collections.abc import Callable
from typing import Any

from ptbench.progress import Progress
from ptbench.tracking import Log
from ptbench.train import Job, Point


class Watch:
    """The observer of one cell's job; its bar begins with the job."""

    def __init__(
        self,
        name: str,
        log: Log,
        report: Callable[[Point], None] | None = None,
        quiet: bool = False,
    ):
        self.name, self.log, self.step, self.report = name, log, 0, report
        self.quiet = quiet or not sys.stdout.isatty()  # of two bars neither is seen
        self.bar: Progress | None = None

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)

    def begin(self, job: Job) -> "Watch":
        """Starts the bar for the job's steps."""
        self.bar = Progress(job.total_steps, self.name, quiet=self.quiet).__enter__()
        return self

    def stepped(self, step: int, loss: float) -> None:
        self._advance(step, loss)
        self.log.log(step, loss=loss)

    def evaluated(self, point: Point) -> None:
        self._advance(point.step, None)
        if self.bar is not None:
            self.bar.evaluated(round(point.epoch), point.loss, point.score)
        self.log.log(point.step, epoch=point.epoch, score=point.score)
        if self.report is not None:
            self.report(point)

    def _advance(self, step: int, loss: float | None) -> None:
        if self.bar is not None:
            self.bar.advance(step - self.step, loss=loss)
        self.step = step
