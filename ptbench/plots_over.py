"""Scores over what a sweep varies beside method and task: a setting, or the size of the model."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from ptbench.figures import (
    FLOOR,
    LINES,
    Panel,
    floor_line,
    layout,
    readable,
    spread,
    styles,
    titles,
)
from ptbench.summary import Table
from ptbench.sweeps import Stored, Sweep, canonical, score

FEWEST, WIDE = 3, 8  # values that make a line; from how many times on an axis is logarithmic
Points = dict[float, list[float]]  # where on the axis: the scores of the seeds, in points
Lines = dict[tuple[str, tuple[str, ...]], Points]  # by method and its other settings


def steps(sweep: Sweep, key: str) -> dict[str, float]:
    """Where on an axis the values of a setting stand: at their number, or side by side.

    Empty where they are too few for a line.
    """
    values = [canonical(value) for value in sweep.axes[key]]
    if len(values) < FEWEST:
        return {}
    try:
        return {value: float(value) for value in values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(values)}


def over_setting(summed: Table, key: str) -> Figure:
    """Score over the values of one setting, a line for each method and its other settings."""
    number = summed.sweep.settings.index(key)
    where = steps(summed.sweep, key)
    named = any(value != f"{step:.12g}" for value, step in where.items())

    def lines(panel: Panel) -> Lines:
        found: Lines = {}
        for place, group in summed.places.items():
            if place.task == panel.task and panel.has(place.model):
                others = place.settings[:number] + place.settings[number + 1 :]
                line = found.setdefault((place.method, others), {})
                line[where[place.settings[number]]] = _scores(group)
        return found

    def dress(axes: Axes) -> None:
        axes.set_xlabel(readable(key))
        if named:
            axes.set_xticks(list(where.values()), list(where), rotation=30, ha="right")
        else:
            _ticks(axes, list(where.values()))

    rest = [name for name in summed.sweep.settings if name != key]
    return _lines(summed, readable(key), lines, dress, rest, summed.sweep.axes["model"])


def over_scale(summed: Table) -> Figure:
    """Score over the parameters of the models, a line for each method and its settings."""

    def lines(panel: Panel) -> Lines:
        found: Lines = {}
        for place, group in summed.places.items():
            done = [record for record in group if record["status"] == "done"]
            if done and place.task == panel.task:
                size = fmean(record["cost"]["total_parameters"] for record in done)
                found.setdefault((place.method, place.settings), {})[size] = _scores(group)
        return found

    def dress(axes: Axes) -> None:
        axes.set(xscale="log", xlabel="parameters of model and prompt")
        axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter=_size)
        axes.xaxis.set_minor_locator(NullLocator())

    return _lines(summed, "scale", lines, dress, list(summed.sweep.settings), [None])


def _lines(
    summed: Table,
    what: str,
    lines: Callable[[Panel], Lines],
    dress: Callable[[Axes], None],
    rest: Sequence[str],
    models: Sequence[str | None],
) -> Figure:
    style = styles(summed.sweep.axes["method"])
    known = [
        key
        for model in models
        for task in summed.sweep.axes["task"]
        for key in lines(Panel(task, model))
    ]
    kinds = list(dict.fromkeys(others for _, others in known))

    def look(method: str, others: tuple[str, ...]) -> dict[str, Any]:
        dash = LINES[kinds.index(others) % len(LINES)] if rest else style[method].line
        return {"color": style[method].colour, "marker": style[method].marker, "linestyle": dash}

    def draw(axes: Axes, panel: Panel) -> None:
        column = summed.columns[summed.sweep.axes["task"].index(panel.task)]
        dress(axes)
        axes.set_ylabel(f"{column.metric}, {column.split} split (points)")
        for (method, others), points in lines(panel).items():
            _line(axes, points, look(method, others))
        _floor(axes, column.floor)

    title = dict(titles(summed))
    keys = []
    for method, others in dict.fromkeys(known):
        told = zip(rest, others, strict=True)
        said = [f"{readable(key)} {value}" for key, value in told if value != "null"]
        keys.append(Line2D([], [], label=", ".join([title[method], *said]), **look(method, others)))
    keys.append(Line2D([], [], label="majority floor", **FLOOR))
    said = f"{summed.sweep.name}: score over {what} ({spread(summed)})"
    return layout(summed, said, draw, keys, models)


def _floor(axes: Axes, floor: float | None) -> None:
    """The majority class's score: a line, or words where a line would press the others together."""
    low, high = axes.get_ylim()
    if floor is None or floor >= low - (high - low):
        return floor_line(axes, floor)
    said = f"majority floor {floor:.1f}, far below"
    axes.text(0.02, 0.03, said, color=FLOOR["color"], transform=axes.transAxes, fontsize=8)


def _line(axes: Axes, points: Points, look: Mapping[str, Any]) -> None:
    """Means with their sample standard deviations, where any seed has finished."""
    drawn = {where: scores for where, scores in sorted(points.items()) if scores}
    bars = [stdev(scores) if len(scores) > 1 else 0.0 for scores in drawn.values()]
    means = [fmean(scores) for scores in drawn.values()]
    axes.errorbar(list(drawn), means, yerr=bars, capsize=3, elinewidth=1, **look)


def _scores(group: Sequence[Stored]) -> list[float]:
    return [100 * score(record) for record in group if record["status"] == "done"]


def _size(parameters: float, _: Any = None) -> str:
    """As one speaks of a model: 330M, 2B."""
    return f"{parameters / 1e9:g}B" if parameters >= 1e9 else f"{parameters / 1e6:g}M"


def _ticks(axes: Axes, values: Sequence[float]) -> None:
    """A tick at each value; a logarithmic axis where they lie far apart."""
    if min(values) > 0 and max(values) >= WIDE * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(values), [f"{value:g}" for value in values])
