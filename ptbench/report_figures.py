"""A sweep's figures as a page of its report holds them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

import matplotlib as mpl
from markupsafe import Markup

from ptbench import plots
from ptbench.figures import LOOK
from ptbench.sweeps import Place, Stored, Sweep

MANY = 1000  # records, above which a page draws no more than PANELS panels: each takes 0.2 s
PANELS = 12


def shown(places: Mapping[Place, Sequence[Stored]], sweep: Sweep) -> Sweep:
    """The sweep, or of one with very many records the first tasks and models that have any."""
    if sum(map(len, places.values())) <= MANY:
        return sweep
    known = [place for place, group in places.items() if group]
    tasks = tuple(dict.fromkeys(place.task for place in known))[:PANELS]
    models = tuple(dict.fromkeys(place.model for place in known if place.task in tasks))
    models = models[: max(1, PANELS // len(tasks))]
    return replace(sweep, axes={**sweep.axes, "task": tasks, "model": models})


def inline(records: Sequence[Stored], sweep: Sweep) -> dict[str, Markup]:
    """What `ptbench plot` draws, by name, each to stand in a page beside the others."""
    found: dict[str, Markup] = {}
    with mpl.rc_context({**LOOK, "svg.fonttype": "none"}):  # text as text: small, and found
        for whole, figure in plots.draw(records, sweep).items():
            drawn = StringIO()
            figure.savefig(drawn, format="svg", metadata={"Date": None})
            name = whole.removeprefix(f"{sweep.name}-")
            found[name] = _inline(name, drawn.getvalue())
    return found


def _inline(name: str, svg: str) -> Markup:
    """A drawing without what only a file needs; its ids and its style are its own."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("*{stroke", f"#plot-{name} *{{stroke")
    told = f'<svg role="img" aria-label="{name}; its numbers are in the tables"'
    return Markup(svg.replace("<svg", told, 1))
