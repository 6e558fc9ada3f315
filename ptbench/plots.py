"""The figures of a sweep from its records; which there are is decided by what it varies."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

from ptbench.entry import Entry
from ptbench.figures import (
    FLOOR,
    LOOK,
    Panel,
    Style,
    dashes,
    dot,
    each,
    floor_line,
    layout,
    spread,
    styles,
    titles,
    values,
)
from ptbench.paths import PLOTS
from ptbench.plots_over import over_scale, over_setting, steps
from ptbench.summary import Table, table
from ptbench.sweeps import Stored, Sweep

__all__ = ["draw", "plot", "styles"]


def plot(records: Sequence[Stored], sweep: Sweep | None, folder: Path = PLOTS) -> list[Path]:
    """Draw each figure as PNG and SVG, and say where.

    Raises SweepError as the table of the same records does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(LOOK):
        for name, figure in draw(records, sweep).items():
            for ending in ("png", "svg"):
                paths.append(folder / f"{name}.{ending}")
                undated: dict[str, Any] = {"Date": None} if ending == "svg" else {}
                figure.savefig(paths[-1], dpi=150, metadata=undated)
    return paths


def draw(records: Sequence[Stored], sweep: Sweep | None) -> dict[str, Figure]:
    """The figures by name: score, cost and curves; score over scale and settings that vary."""
    summed = table(records, sweep)
    figures = {"score": _score_figure, "cost": _cost_figure, "curves": _curves_figure}
    if len(summed.sweep.axes["model"]) > 1:
        figures["scale"] = over_scale
    for key in summed.sweep.settings:
        if steps(summed.sweep, key):
            figures[key.rpartition(".")[2]] = partial(over_setting, key=key)
    with mpl.rc_context(LOOK):
        return {f"{summed.sweep.name}-{name}": draw(summed) for name, draw in figures.items()}


def _score_figure(summed: Table) -> Figure:
    style = styles(summed.sweep.axes["method"])

    def draw(axes: Axes, panel: Panel) -> None:
        place = summed.sweep.axes["task"].index(panel.task)
        column = summed.columns[place]
        axes.set(xscale="log", xlabel="trained parameters")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"{column.metric}, {column.split} split (points)")
        floor_line(axes, column.floor)
        for row in summed.rows:
            if panel.has(row.model):
                _point(axes, row.entries[place], style[row.method])
        low, high = axes.get_xlim()
        if high < 10 * low:  # may hold no power of ten, and then has no number on a log axis
            axes.set_xscale("linear")
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    said = f"{spread(summed)}{each(summed)}"
    title = f"{summed.sweep.name}: score against trained parameters ({said})"
    floor = Line2D([], [], label="majority floor", **FLOOR)
    keys = [Line2D([], [], linestyle="", **dot(style[m]), label=t) for m, t in titles(summed)]
    return layout(summed, title, draw, [*keys, floor])


def _point(axes: Axes, entry: Entry, style: Style) -> None:
    if entry.mean is not None and entry.trainable:
        axes.errorbar(
            entry.trainable,
            entry.mean,
            yerr=entry.deviation,
            linestyle="",
            ecolor=style.colour,
            elinewidth=1.2,
            capsize=3,
            **dot(style),
        )


def _cost_figure(summed: Table) -> Figure:
    style = styles(summed.sweep.axes["method"])

    def draw(axes: Axes, panel: Panel) -> None:
        axes.set(xlabel="seconds of a training step", ylabel="peak memory (MB)")
        for place, group in summed.places.items():
            costs = [record["cost"] for record in group if record["status"] == "done"]
            if costs and place.task == panel.task and panel.has(place.model):
                seconds = fmean(cost["seconds_per_step"] for cost in costs)
                memory = fmean(cost["peak_memory_bytes"] for cost in costs) / 1e6
                look = dot(style[place.method])
                axes.plot(seconds, memory, linestyle="", clip_on=False, **look)
        axes.margins(0.1)
        axes.autoscale_view()
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)

    title = f"{summed.sweep.name}: time and memory as the runs had them (means{each(summed)})"
    keys = [Line2D([], [], linestyle="", **dot(style[m]), label=t) for m, t in titles(summed)]
    return layout(summed, title, draw, keys)


def _curves_figure(summed: Table) -> Figure:
    style = styles(summed.sweep.axes["method"])
    dash = dashes(summed)

    def draw(axes: Axes, panel: Panel) -> None:
        column = summed.columns[summed.sweep.axes["task"].index(panel.task)]
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{column.metric}, {column.selected} split (points)")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        for place, group in summed.places.items():
            if place.task == panel.task and panel.has(place.model):
                look = style[place.method]
                _curve(axes, group, look.colour, dash.get(place.settings, look.line))

    band = "mean, lowest to highest of the seeds shaded" if summed.seeds > 1 else "1 seed"
    title = f"{summed.sweep.name}: score that selects, while training ({band}{each(summed)})"
    keys = [
        Line2D([], [], color=style[m].colour, linestyle=style[m].line, linewidth=2, label=t)
        for m, t in titles(summed)
    ]
    keys += [
        Line2D([], [], color=FLOOR["color"], linestyle=line, label=values(summed, settings))
        for settings, line in dash.items()
    ]
    return layout(summed, title, draw, keys)


def _curve(axes: Axes, group: Sequence[Stored], colour: str, line: LineStyleType) -> None:
    """The mean over seeds, as far as all of them went: a mean of fewer would jump."""
    done = [record for record in group if record["status"] == "done"]
    curves = [{point["epoch"]: 100 * point["score"] for point in r["curve"]} for r in done]
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    scores = [[curve[epoch] for curve in curves] for epoch in epochs]
    lows, highs = [min(s) for s in scores], [max(s) for s in scores]
    axes.fill_between(epochs, lows, highs, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        epochs,
        [fmean(s) for s in scores],
        color=colour,
        linestyle=line,
        linewidth=1.5,
    )
