"""What a person sees of a running cell: a bar on a terminal, a line per evaluation in a log."""

import logging
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

LOGGER = logging.getLogger(__name__)


class Progress:
    """A bar with loss, last score, speed and time left; not drawn if quiet or off a terminal."""

    def __init__(
        self, total_steps: int, description: str, quiet: bool, console: Console | None = None
    ):
        console = console or Console()
        self._description = description
        self._bar = Bar(
            _Title(),  # the one column that gives way on a narrow terminal
            BarColumn(10, table_column=Column(no_wrap=True)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("loss {task.fields[loss]} score {task.fields[score]}"),
            _Speed(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(description, total=total_steps, loss="-", score="-")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(
        self, steps: int = 1, loss: float | None = None, score: float | None = None
    ) -> None:
        """Go on by some steps; a loss or score that is None leaves the last one standing."""
        shown = {"loss": loss, "score": score}
        fields: dict[str, Any] = {k: f"{v:.4f}" for k, v in shown.items() if v is not None}
        self._bar.update(self._task, advance=steps, **fields)

    def evaluated(self, epoch: int, loss: float, score: float) -> None:
        """Show an evaluation: on the bar, or as one line of the log where no bar is drawn."""
        if self._bar.disable:
            LOGGER.info(
                "%s: epoch %d, loss %.4f, score %.4f", self._description, epoch, loss, score
            )
        else:
            self.advance(0, loss, score)


class _Title(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("- steps/s" if task.speed is None else f"{task.speed:.1f} steps/s")
