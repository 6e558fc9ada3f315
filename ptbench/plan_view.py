"""A plan on the screen: a row for each place of the sweep, what is left to do, what failed."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from string import ascii_lowercase
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ptbench.entry import DASH
from ptbench.estimates import Estimate, likeness
from ptbench.planning import Planned, State
from ptbench.sweeps import Place, Sweep, setting_text


class Left(NamedTuple):
    """What the cells that are not done will take, those without an estimate left out."""

    cells: int
    steps: int
    seconds: float  # one after another
    bytes: int  # of the largest
    unknown: int  # cells without an estimate


def left(cells: Sequence[Planned]) -> Left:
    """The sum over cells that will be trained, from their beginning."""
    todo = [cell for cell in cells if cell.left]
    known = [(cell.left, cell.estimate) for cell in todo if cell.estimate is not None]
    return Left(
        len(todo),
        sum(trainings * estimate.steps for trainings, estimate in known),
        sum(trainings * estimate.seconds for trainings, estimate in known),
        max((estimate.bytes for _, estimate in known), default=0),
        len(todo) - len(known),
    )


def view(sweep: Sweep, cells: Sequence[Planned]) -> RenderableType:
    """The rows, the totals and the failures."""
    lines = [*legend(cells), counts(cells), *totals(cells), *failures(cells)]
    return Group(rows(sweep, cells), *map(Text, lines))


def rows(sweep: Sweep, cells: Sequence[Planned]) -> Table:
    """Seeds by state for each place, and what one of its cells takes; no column without a word."""
    by_place: dict[Place, list[Planned]] = {}
    for cell in cells:
        by_place.setdefault(cell.place, []).append(cell)
    names: dict[str, Callable[[Place], str]] = {
        "task": lambda place: place.task,
        "model": lambda place: place.model,
        "method": lambda place: place.method,
        "setting": lambda place: setting_text(sweep, place),
    }
    costs: dict[str, Callable[[Estimate], str]] = {
        "steps": lambda e: f"{e.steps:,}",
        "time each": lambda e: duration(e.seconds),
        "memory": lambda e: size(e.bytes),
        "from": lambda e: f"{e.count} {_letter(e)}",
    }
    models = {place.model for place in by_place}
    if len(models) == 1:
        del names["model"]
    columns = {name: [tell(place) for place in by_place] for name, tell in names.items()}
    for state in State:
        columns[str(state)] = [_seeds(group, state) for group in by_place.values()]
    for name, tell in costs.items():
        columns[name] = [_estimated(group, tell) for group in by_place.values()]
    shown = {name: column for name, column in columns.items() if {*column} - {"", DASH}}
    of = f" on {models.pop()}" if len(models) == 1 else ""
    table = Table(title=f"{sweep.name}{of}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in shown:
        number = name in costs
        justify = "right" if number else "left"
        table.add_column(name, justify=justify, no_wrap=number, overflow="fold")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def legend(cells: Sequence[Planned]) -> list[str]:
    """What the letters of the estimates stand for."""
    used = {cell.estimate.level: cell.estimate for cell in cells if cell.estimate is not None}
    return [f"{_letter(used[level])}: {likeness(level)}" for level in sorted(used)]


def counts(cells: Sequence[Planned]) -> str:
    """How many cells there are in each state, and of a search, how many of all its trials."""
    found = Counter(cell.state for cell in cells)
    said = f"{len(cells):,} cells: " + ", ".join(f"{found[state]:,} {state}" for state in State)
    trials = [cell.trials for cell in cells if cell.trials]
    if not trials:
        return said
    made = sum(min(one) for one in trials)  # one asked for less since may have more
    return f"{said}; {made:,} of {sum(one.asked for one in trials):,} trials"


def totals(cells: Sequence[Planned]) -> list[str]:
    """What is left to train, in one line; none where nothing is."""
    all_ = left(cells)
    if not all_.cells:
        return []
    known = all_.cells - all_.unknown
    said = [f"To train: {all_.cells:,} cells"]
    if known:
        said.append(f"{all_.steps:,} steps")
        said.append(f"{duration(all_.seconds)} one after another")
        said.append(f"peak memory {size(all_.bytes)}")
    unknown = f"; {all_.unknown:,} without an estimate: no record has their model"
    return [", ".join(said) + (unknown if all_.unknown else "") + "."]


def failures(cells: Sequence[Planned], most: int = 20) -> list[str]:
    """A line for each failed cell, with the last line of its error."""
    told = [
        f"{cell.record['status']}: {' '.join(cell.place[:3])} seed {cell.seed}: "
        f"{_last_line(cell.record['error'])}"
        for cell in cells
        if cell.state is State.failed and cell.record is not None
    ]
    return [*told[:most], *([f"... and {len(told) - most:,} more"] if told[most:] else [])]


def duration(seconds: float) -> str:
    """Such as 2 days, 3:04:00 or 0:00:59."""
    return str(timedelta(seconds=round(seconds)))


def size(count: int) -> str:
    """Such as 1.2 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _seeds(group: Sequence[Planned], state: State) -> str:
    return " ".join(str(cell.seed) + _trials(cell) for cell in group if cell.state is state)


def _trials(cell: Planned) -> str:
    """How far a search's cell is; nothing where it is done."""
    if cell.trials is None or not cell.left:
        return ""
    return f" ({cell.trials.spent} of {cell.trials.asked} trials)"


def _estimated(group: Sequence[Planned], tell: Callable[[Estimate], str]) -> str:
    """What is said of a place's estimate: a dash where there is none, nothing where all is done."""
    todo = [cell.estimate for cell in group if cell.state is not State.done]
    if not todo:
        return ""
    return DASH if todo[0] is None else tell(todo[0])


def _letter(estimate: Estimate) -> str:
    return ascii_lowercase[estimate.level]


def _last_line(error: str | None, most: int = 200) -> str:
    return (error or DASH).strip().rpartition("\n")[2][:most]
