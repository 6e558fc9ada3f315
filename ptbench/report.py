"""A sweep's report: one HTML page that holds all it shows, opens offline, sorts and filters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ptbench.across import across
from ptbench.errors import PtbenchError
from ptbench.layout import (
    Cell,
    Lines,
    caption,
    main,
    methods,
    numbers,
)
from ptbench.layout_across import over_tasks, over_tasks_caption
from ptbench.paths import REPORTS
from ptbench.report_cells import cells_of, shared, varied
from ptbench.report_figures import inline, shown
from ptbench.summary import Table
from ptbench.sweeps import Place, Stored, Sweep, gather, observed, sorted_in
from ptbench.tables import table

PARTS = Path(__file__).parent  # report.html, report.css and report.js lie beside this file
PLACE = [(name, False) for name in ("task", "model", "method")]
END = [
    *(("seed", True), ("status", False)),
    *((name, True) for name in ("score", "steps", "seconds", "peak MB")),
    ("commit", False),
]  # columns of the cells, and whether they hold numbers
LISTED = {"hash", "name", "status", "row", "lost"}  # of a cell: what is seen without opening it


class Pieces(NamedTuple):
    """The table of scores, for the page to lay out."""

    main: list[list[str]]
    numbers: range  # the columns of main that hold numbers
    methods: list[list[str]]
    caption: list[str]


class ReportError(PtbenchError):
    """A page that cannot be written; the message says why and what to do."""


def write(records: Sequence[Stored], sweep: Sweep | None, folder: Path = REPORTS) -> Path:
    """Write <sweep>.html, whole or not at all, and say where.

    Raises SweepError as the table of the same records does, ReportError where it cannot be written.
    """
    text = page(records, sweep)
    file = folder / f"{(sweep or observed(records)).name}.html"
    draft = file.with_suffix(".html.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(text.encode("utf-8", "replace"))  # an error may quote half a character
        draft.replace(file)
    except OSError as error:
        raise ReportError(
            f"{file} could not be written: {error.strerror}; mend that, or free some disk space"
        ) from error
    return file


def page(records: Sequence[Stored], sweep: Sweep | None) -> str:
    """The page's text, the same for the same records."""
    summed, sweep = table(records, sweep), sweep or observed(records)
    places = gather(records, sweep)  # all cells, where the table averages over some
    cells = list(cells_of(sorted_in(records, sweep), sweep, summed))
    settings, origins = ([cell.pop(key) for cell in cells] for key in ("config", "origin"))
    shared_settings, shared_origin = shared(settings), shared(origins)
    for cell, own, origin in zip(cells, settings, origins, strict=True):
        cell["settings"] = {k: v for k, v in own.items() if k not in shared_settings}
        cell["origin"] = {k: v for k, v in origin.items() if k not in shared_origin}
    setting = [("settings", False)] if varied(sweep) else []
    scores = _pieces(summed)
    return _template().render(
        summed=summed,
        scores=scores,
        over_tasks=[
            (o.model, _texts(over_tasks(o)), over_tasks_caption(o)) for o in across(summed)
        ],
        seeds=[_seeds(row.entries) for row in summed.rows],
        failures=[cell for cell in cells if cell["lost"]],
        missing=_missing(places, summed),
        drawn=(drawn := shown(places, sweep)),
        plots=inline(records, drawn),
        columns={"scores": _columns(scores), "cells": [*PLACE, *setting, *END]},
        cells=cells,
        details={cell["hash"]: {k: cell[k] for k in cell.keys() - LISTED} for cell in cells},
        shared={"settings": shared_settings, "origin": shared_origin},
        css=Markup((PARTS / "report.css").read_text(encoding="utf-8")),
        js=Markup((PARTS / "report.js").read_text(encoding="utf-8")),
    )


def _pieces(summed: Table) -> Pieces:
    lines, grid = _texts(main(summed)), _texts(methods(summed))
    return Pieces(lines, numbers(summed), grid, caption(summed))


def _texts(lines: Lines) -> list[list[str]]:
    return [[_text(cell) for cell in line] for line in lines]


def _text(cell: Cell) -> str:
    whole = Markup("<b>{}</b>{}") if cell.best else Markup("{}{}")
    return whole.format(cell.text, cell.rest)


def _template() -> Any:
    made = Environment(
        loader=FileSystemLoader(PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return made.get_template("report.html")


def _columns(scores: Pieces) -> list[tuple[str, bool]]:
    """The columns of the scores, each with whether it holds numbers."""
    return [*((n, i in scores.numbers) for i, n in enumerate(scores.main[0])), ("n", True)]


def _seeds(entries: Sequence[Any]) -> str:
    """How many seeds of a row finished, as a range where its tasks differ."""
    counts = {len(entry.values) for entry in entries}
    return "-".join(str(count) for count in sorted({min(counts), max(counts)}))


def _missing(places: Mapping[Place, Sequence[Stored]], summed: Table) -> int:
    """How many of the sweep's cells have no record at all."""
    tried = sum(len({r["cell"]["seed"] for r in group}) for group in places.values())
    return len(places) * summed.seeds - tried
