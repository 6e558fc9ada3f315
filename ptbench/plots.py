"""Two figures of a sweep from its records: scores against parameters, and learning curves."""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

from ptbench.paths import CONF, PLOTS
from ptbench.summary import Entry, Table, table
from ptbench.sweeps import Place, Stored, Sweep, gather

# Okabe and Ito's colours, told apart with any colour vision; grey for their yellow, which is
# too faint for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h")
LINES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")
WIDEST = 3  # panels in a line
LOOK: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.7,
    "svg.hashsalt": "ptbench",  # else the same figure gets other ids each time
}


class Style(NamedTuple):
    """How one method is drawn in every figure."""

    colour: str
    marker: str
    line: LineStyleType


class Panel(NamedTuple):
    """One task on one model."""

    task: str
    model: str


def plot(records: Sequence[Stored], sweep: Sweep | None, folder: Path = PLOTS) -> list[Path]:
    """Draw <sweep>-score and <sweep>-curves as PNG and SVG, and say where.

    Raises SweepError as the table of the same records does.
    """
    summed = table(records, sweep)
    figures = {"score": _score_figure, "curves": _curves_figure}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(LOOK):
        for name, draw in figures.items():
            figure = draw(summed, gather(records, summed.sweep))
            for ending in ("png", "svg"):
                paths.append(folder / f"{summed.sweep.name}-{name}.{ending}")
                undated: dict[str, Any] = {"Date": None} if ending == "svg" else {}
                figure.savefig(paths[-1], dpi=150, metadata=undated)
    return paths


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A style for each method, the same in all sweeps: by its place among all methods there are."""
    known = sorted(path.stem for path in (CONF / "method").glob("*.yaml"))
    return {
        method: Style(
            COLOURS[place % len(COLOURS)],
            MARKERS[place % len(MARKERS)],
            LINES[place // len(COLOURS) % len(LINES)],
        )
        for place, method in enumerate(dict.fromkeys([*known, *methods]))
    }


def _score_figure(summed: Table, _: dict[Place, list[Stored]]) -> Figure:
    style = styles(summed.sweep.axes["method"])

    def draw(axes: Axes, panel: Panel) -> None:
        place = summed.sweep.axes["task"].index(panel.task)
        column = summed.columns[place]
        axes.set(xscale="log", xlabel="trained parameters")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"{column.metric}, {column.split} split (points)")
        if column.floor is not None:
            axes.axhline(column.floor, color="#555555", linestyle="--", linewidth=1)
        for row in summed.rows:
            if row.model == panel.model:
                _point(axes, row.entries[place], style[row.method])

    most = "" if summed.whole else "up to "
    spread = f"mean ± sd of {most}{summed.seeds} seeds" if summed.seeds > 1 else "1 seed"
    title = f"{summed.sweep.name}: score against trained parameters ({spread}{_each(summed)})"
    floor = Line2D([], [], color="#555555", linestyle="--", linewidth=1, label="majority floor")
    keys = [Line2D([], [], linestyle="", **_dot(style[m]), label=t) for m, t in _titles(summed)]
    return _figure(summed, title, draw, [*keys, floor])


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
            **_dot(style),
        )


def _dot(style: Style) -> dict[str, Any]:
    return {
        "marker": style.marker,
        "markersize": 8,
        "color": style.colour,
        "alpha": 0.85,  # methods with equally many parameters lie on each other
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
    }


def _curves_figure(summed: Table, places: dict[Place, list[Stored]]) -> Figure:
    style = styles(summed.sweep.axes["method"])

    def draw(axes: Axes, panel: Panel) -> None:
        column = summed.columns[summed.sweep.axes["task"].index(panel.task)]
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{column.metric}, {column.selected} split (points)")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        for place, group in places.items():
            if (place.task, place.model) == panel:
                _curve(axes, group, style[place.method])

    band = "mean, lowest to highest of the seeds shaded" if summed.seeds > 1 else "1 seed"
    title = f"{summed.sweep.name}: score that selects, while training ({band}{_each(summed)})"
    keys = [
        Line2D([], [], color=style[m].colour, linestyle=style[m].line, linewidth=2, label=t)
        for m, t in _titles(summed)
    ]
    return _figure(summed, title, draw, keys)


def _curve(axes: Axes, group: Sequence[Stored], style: Style) -> None:
    """The mean over seeds, as far as all of them went: a mean of fewer would jump."""
    done = [record for record in group if record["status"] == "done"]
    curves = [{point["epoch"]: 100 * point["score"] for point in r["curve"]} for r in done]
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    scores = [[curve[epoch] for curve in curves] for epoch in epochs]
    lows, highs = [min(s) for s in scores], [max(s) for s in scores]
    axes.fill_between(epochs, lows, highs, color=style.colour, alpha=0.15, linewidth=0)
    axes.plot(
        epochs,
        [fmean(s) for s in scores],
        color=style.colour,
        linestyle=style.line,
        linewidth=1.5,
    )


def _figure(
    summed: Table, title: str, draw: Callable[[Axes, Panel], None], keys: list[Line2D]
) -> Figure:
    """A panel for each model and task, with one legend below all."""
    axis = summed.sweep.axes
    panels = [Panel(task, model) for model, task in product(axis["model"], axis["task"])]
    wide = min(WIDEST, len(panels))
    high = ceil(len(panels) / wide)
    columns = min(max(wide, 2), len(keys))  # of the legend: its longest name is a panel wide
    size = (3.4 * max(wide, 2), 3.4 * high + 0.6 + 0.2 * ceil(len(keys) / columns))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    grid = figure.subplots(high, wide, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        place = axis["task"].index(panel.task)
        axes.set_title(f"{panel.task}, {panel.model}", fontsize=10)
        if any(row.entries[place].values for row in summed.rows if row.model == panel.model):
            draw(axes, panel)
        else:
            axes.text(0.5, 0.5, "no finished run", ha="center", transform=axes.transAxes)
            axes.set_axis_off()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(fill(title, width=33 * max(wide, 2)), fontsize=11)
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _each(summed: Table) -> str:
    """What the marks or lines of one method differ in, if there are several."""
    keys = [key.rpartition(".")[2].replace("_", " ") for key in summed.sweep.settings]
    return f", one for each {' and '.join(keys)}" if keys else ""


def _titles(summed: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.method, row.title) for row in summed.rows))
