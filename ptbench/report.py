"""A sweep's report: one HTML page that holds all it shows, opens offline, sorts and filters."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ptbench import plots
from ptbench.errors import PtbenchError
from ptbench.paths import REPORTS
from ptbench.summary import Table
from ptbench.sweeps import Place, Stored, Sweep, gather, score, setting_text
from ptbench.tables import Pieces, pieces, table

PARTS = Path(__file__).parent  # report.html, report.css and report.js lie beside this file
# Column of the cells, and whether it holds numbers.
CELLS = [
    *((name, False) for name in ("task", "model", "method", "settings")),
    *(("seed", True), ("status", False)),
    *((name, True) for name in ("score", "steps", "seconds", "peak MB")),
    ("commit", False),
]
TOLD = ("cell", "seed")  # of the config: a cell's row says them
LISTED = {"hash", "row", "lost"}  # of a cell: what the page shows without opening it


class ReportError(PtbenchError):
    """A page that cannot be written; the message says why and what to do."""


def write(records: Sequence[Stored], sweep: Sweep | None, folder: Path = REPORTS) -> Path:
    """Write <sweep>.html, whole or not at all, and say where.

    Raises SweepError as the table of the same records does, ReportError where it cannot be written.
    """
    summed = table(records, sweep)
    file = folder / f"{summed.sweep.name}.html"
    draft = file.with_suffix(".html.tmp")
    text = page(records, summed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(text.encode("utf-8", "replace"))  # an error may quote half a character
        draft.replace(file)
    except OSError as error:
        raise ReportError(
            f"{file} could not be written: {error.strerror}; mend that, or free some disk space"
        ) from error
    return file


def page(records: Sequence[Stored], summed: Table) -> str:
    """The page's text, the same for the same records."""
    cells = list(_cells(gather(records, summed.sweep), summed))
    settings, origins = ([cell.pop(key) for cell in cells] for key in ("config", "origin"))
    shared_settings, shared_origin = _shared(settings), _shared(origins)
    for cell, own, origin in zip(cells, settings, origins, strict=True):
        cell["settings"] = {k: v for k, v in own.items() if k not in shared_settings}
        cell["origin"] = {k: v for k, v in origin.items() if k not in shared_origin}
    scores = pieces(summed, lambda text: Markup("<b>{}</b>").format(text))
    return _template().render(
        summed=summed,
        scores=scores,
        seeds=[_seeds(row.entries) for row in summed.rows],
        failures=[cell for cell in cells if cell["lost"]],
        missing=_missing(gather(records, summed.sweep), summed),
        plots=_plots(records, summed.sweep),
        columns={"scores": _columns(scores), "cells": CELLS},
        cells=cells,
        details={cell["hash"]: {k: cell[k] for k in cell.keys() - LISTED} for cell in cells},
        shared={"settings": shared_settings, "origin": shared_origin},
        css=Markup((PARTS / "report.css").read_text(encoding="utf-8")),
        js=Markup((PARTS / "report.js").read_text(encoding="utf-8")),
    )


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


def _cells(places: Mapping[Place, Sequence[Stored]], summed: Table) -> Iterator[dict[str, Any]]:
    """Every record as its row and its details, those that failed first."""
    finished = {
        (place, record["cell"]["seed"])
        for place, group in places.items()
        for record in group
        if record["status"] == "done"
    }
    titles = {row.method: row.title for row in summed.rows}
    found = [(place, record) for place, group in places.items() for record in group]
    for place, record in sorted(found, key=lambda pair: pair[1]["status"] == "done"):
        done = record["status"] == "done"
        cell, origin = record["cell"], record["provenance"]
        yield {
            "hash": record["hash"],
            "row": [
                *(cell["task"], cell["model"], titles[cell["method"]]),
                *(setting_text(summed.sweep, place), cell["seed"], record["status"]),
                *(_results(record) if done else ("", "", f"{origin['seconds']:.0f}", "")),
                str(origin["commit"])[:8] + ("+" if origin["dirty"] else ""),
            ],
            "lost": (place, cell["seed"]) not in finished,
            "command": origin["command"],
            "error": record["error"],
            "config": _flat({k: v for k, v in record["config"].items() if k not in TOLD}),
            "origin": _flat({k: v for k, v in origin.items() if k != "command"}),
            **(_details(record) if done else {}),
        }


def _results(record: Stored) -> tuple[str, ...]:
    return (
        f"{100 * score(record):.2f}",
        str(record["curve"][-1]["step"]),
        f"{record['provenance']['seconds']:.0f}",
        f"{record['cost']['peak_memory_bytes'] / 1e6:.0f}",
    )


def _details(record: Stored) -> dict[str, Any]:
    """What only a finished record has."""
    facts = ("scores", "floor", "random_floor", "selection", "rows", "left_out", "cost")
    known = {key: record[key] for key in facts if record.get(key)}
    return {
        "facts": _flat(known),
        "metric": record["selection"]["metric"],
        "selected": record["selection"]["split"],
        "best": record["selection"]["step"],
        "curve": [[p["step"], p["loss"], 100 * p["score"]] for p in record["curve"]],
    }


def _flat(value: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """The leaves of nested settings, each as text under its dotted key."""
    found: dict[str, str] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            found |= _flat(inner, f"{above}{key}.")
        else:
            said = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
            found[f"{above}{key}"] = said
    return found


def _shared(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all say alike."""
    first, *others = each
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


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


def _plots(records: Sequence[Stored], sweep: Sweep) -> dict[str, Markup]:
    """What `ptbench plot` draws, by name, each to stand in a page beside the others."""
    with TemporaryDirectory() as folder:
        files = [f for f in plots.plot(records, sweep, Path(folder)) if f.suffix == ".svg"]
        names = [file.stem.removeprefix(f"{sweep.name}-") for file in files]
        texts = [file.read_text(encoding="utf-8") for file in files]
    return {name: _inline(name, text) for name, text in zip(names, texts, strict=True)}


def _inline(name: str, svg: str) -> Markup:
    """A drawing without what only a file needs; its ids and its style are its own."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("*{stroke", f"#plot-{name} *{{stroke")
    told = f'<svg role="img" aria-label="{name}; its numbers are in the tables"'
    return Markup(svg.replace("<svg", told, 1))
