"""A sweep while it runs: how far it is, how long it will still take, what came out last."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ptbench import planning, records, sweeps
from ptbench.paths import RECORDS
from ptbench.plan_view import counts, duration, failures, left
from ptbench.planning import Planned, State

PAUSE = 2.0  # seconds
LAST = 5  # finished cells shown


class Watched:
    """The records of a sweep, of which only those that have changed are read again."""

    def __init__(self, sweep: str, folder: Path = RECORDS):
        self._folder = folder / sweep
        self._known: dict[Path, tuple[int, dict[str, Any]]] = {}

    def read(self) -> list[dict[str, Any]]:
        """All of them as they are now, in the order of their names."""
        for file in set(self._known) - set(files := sorted(self._folder.glob("*/*.json"))):
            del self._known[file]
        for file in files:
            changed = file.stat().st_mtime_ns
            if file not in self._known or self._known[file][0] != changed:
                self._known[file] = changed, records.read(file)
        return [record for _, record in self._known.values()]


def show(name: str, overrides: Sequence[str], console: Console, once: bool) -> None:
    """Prints the state of a sweep; again and again until none is left to train, unless `once`."""
    views = _views(name, overrides)
    if once:
        console.print(next(views)[0])
        return
    with Live(console=console, auto_refresh=False) as live:
        for shown, over in views:
            live.update(shown, refresh=True)
            if over:
                return
            time.sleep(PAUSE)


def _views(name: str, overrides: Sequence[str]) -> Iterator[tuple[RenderableType, bool]]:
    """What there is to see now, and whether nothing more will come of the sweep."""
    watched = Watched(name)
    others = [r for other in planning.recorded() if other != name for r in records.load(other)]
    while True:
        training = records.training(name)  # first, or a cell that ends now would be in neither
        own = watched.read()
        sweep = planning.narrowed(planning.described(name, [*own, *training]), overrides)
        cells = planning.plan(own, sweep, others, training)
        states = {cell.state for cell in cells}
        yield view(name, cells, time.time()), states <= {State.done, State.failed}


def view(name: str, cells: Sequence[Planned], now: float) -> RenderableType:
    """A bar, the counts, the time left, what is being trained, the last scores and failures."""
    done = sum(cell.state is State.done for cell in cells)
    told = [counts(cells), *time_left(cells, now), *_running(cells, now), *last(cells)]
    lines = map(Text, [*told, *failures(cells)])
    bar = Table.grid()
    bar.add_row(ProgressBar(len(cells), done, width=60))
    return Group(Text(name, style="bold"), bar, *lines)


def time_left(cells: Sequence[Planned], now: float) -> list[str]:
    """The estimates of what is to be trained, shared among the processes that train now."""
    todo = left(cells)
    if not todo.cells or todo.unknown == todo.cells:
        return [f"Time left: -; no like record of {todo.cells:,} cells"] if todo.cells else []
    running = [cell for cell in cells if cell.state is State.training]
    seconds = todo.seconds
    for cell in running:
        if cell.estimate is not None:
            seconds -= min(cell.estimate.seconds, _elapsed(cell.record, now))
    processes = max(1, len(running))
    more = f", and {todo.unknown:,} cells without an estimate" if todo.unknown else ""
    among = f" with {processes} at once" if processes > 1 else ""
    return [f"Time left: {duration(seconds / processes)}{among}{more}"]


def last(cells: Sequence[Planned], most: int = LAST) -> list[str]:
    """The cells that finished last, the newest first, each with its main score."""
    done = [cell.record for cell in cells if cell.state is State.done and cell.record]
    newest = sorted(done, key=lambda record: record["provenance"]["time"], reverse=True)[:most]
    return [
        f"done: {_name(record)}: {record['selection']['metric']} {100 * sweeps.score(record):.1f}, "
        f"{duration(record['provenance']['seconds'])}"
        for record in newest
    ]


def _running(cells: Sequence[Planned], now: float) -> list[str]:
    lines = []
    for cell in cells:
        if cell.state is State.training and cell.record is not None:
            of = f" of about {duration(cell.estimate.seconds)}" if cell.estimate else ""
            elapsed = duration(_elapsed(cell.record, now))
            lines.append(f"being trained: {_name(cell.record)}, for {elapsed}{of}")
    return lines


def _elapsed(record: Mapping[str, Any] | None, now: float) -> float:
    return 0.0 if record is None else max(0.0, now - record["since"])


def _name(record: Mapping[str, Any]) -> str:
    cell = record["cell"]
    return f"{cell['task']} {cell['model']} {cell['method']} seed {cell['seed']}"
