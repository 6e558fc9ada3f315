"""The look of every figure of a sweep: a panel for each task and model, one legend below."""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil
from textwrap import fill
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from ptbench.paths import CONF
from ptbench.summary import Table

# Okabe and Ito's colours, told apart with any colour vision; grey for their yellow, which is
# too faint for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h")
LINES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")
WIDEST = 3  # panels in a line
FLOOR: dict[str, Any] = {"color": "#555555", "linestyle": "--", "linewidth": 1}
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
    """One task on one model, or on all of them where a figure lays them side by side."""

    task: str
    model: str | None

    def has(self, model: str) -> bool:
        """Whether what that model scored belongs in it."""
        return self.model in (None, model)


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


def dot(style: Style) -> dict[str, Any]:
    """The marker of a method."""
    return {
        "marker": style.marker,
        "markersize": 8,
        "color": style.colour,
        "alpha": 0.85,  # methods with equally many parameters lie on each other
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
    }


def layout(
    summed: Table,
    title: str,
    draw: Callable[[Axes, Panel], None],
    keys: list[Line2D],
    models: Sequence[str | None] | None = None,
) -> Figure:
    """A panel for each task and each of the models (all of the sweep's), one legend below all."""
    axis = summed.sweep.axes
    panels = [Panel(t, m) for m, t in product(models or axis["model"], axis["task"])]
    wide = min(WIDEST, len(panels))
    high = ceil(len(panels) / wide)
    columns = min(max(wide, 2), len(keys))  # of the legend: its longest name is a panel wide
    size = (3.4 * max(wide, 2), 3.4 * high + 0.6 + 0.2 * ceil(len(keys) / columns))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    grid = figure.subplots(high, wide, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        place = axis["task"].index(panel.task)
        axes.set_title(", ".join(name for name in panel if name is not None), fontsize=10)
        if any(row.entries[place].values for row in summed.rows if panel.has(row.model)):
            draw(axes, panel)
        else:
            axes.text(0.5, 0.5, "no finished run", ha="center", transform=axes.transAxes)
            axes.set_axis_off()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(fill(title, width=33 * max(wide, 2)), fontsize=11)
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def readable(key: str) -> str:
    """A config key in words."""
    return key.rpartition(".")[2].replace("_", " ")


def spread(summed: Table) -> str:
    """What a mark with its bar stands for."""
    most = "" if summed.whole else "up to "
    return f"mean ± sd of {most}{summed.seeds} seeds" if summed.seeds > 1 else "1 seed"


def floor_line(axes: Axes, floor: float | None) -> None:
    """The majority class's score."""
    if floor is not None:
        axes.axhline(floor, **FLOOR)


def each(summed: Table) -> str:
    """What the marks or lines of one method differ in, if there are several."""
    keys = [readable(key) for key in summed.sweep.settings]
    return f", one for each {' and '.join(keys)}" if keys else ""


def dashes(summed: Table) -> dict[tuple[str, ...], LineStyleType]:
    """A line for each setting of a method, where they are few enough to be told apart."""
    kinds = list(dict.fromkeys(place.settings for place in summed.places))
    return dict(zip(kinds, LINES, strict=False)) if 1 < len(kinds) <= len(LINES) else {}


def values(summed: Table, settings: Sequence[str]) -> str:
    """Settings in words; one that is not set is the method's own."""
    pairs = zip(summed.sweep.settings, settings, strict=True)
    return ", ".join(f"{readable(k)} {'not set' if v == 'null' else v}" for k, v in pairs)


def titles(summed: Table) -> list[tuple[str, str]]:
    """The methods with what to call them."""
    return list(dict.fromkeys((row.method, row.title) for row in summed.rows))
