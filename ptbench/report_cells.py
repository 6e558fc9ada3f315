"""The cells of a report: every record as a row of a table, and as what opens below it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ptbench.rivals import flat
from ptbench.summary import Table
from ptbench.sweeps import Place, Stored, Sweep, canonical, score, setting_text

TOLD = ("cell", "seed")  # of the config: a cell's row says them


def cells_of(
    places: Mapping[Place, Sequence[Stored]], sweep: Sweep, summed: Table
) -> Iterator[dict[str, Any]]:
    """Every record as its row and its details, those that failed first."""
    finished = {
        (place, record["cell"]["seed"])
        for place, group in places.items()
        for record in group
        if record["status"] == "done"
    }
    titles = {row.method: row.title for row in summed.rows}
    found = [(place, record) for place, group in places.items() for record in group]
    trials = list(places.values()) if sweep.trials else []
    points = {key: told for group in trials for key, told in _points(group).items()}
    for place, record in sorted(found, key=lambda pair: pair[1]["status"] == "done"):
        done = record["status"] == "done"
        cell, origin = record["cell"], record["provenance"]
        names = [cell["task"], cell["model"], titles[cell["method"]]]
        setting = setting_text(sweep, place) or points.get(record["hash"], "")
        yield {
            "hash": record["hash"],
            "name": ", ".join(filter(None, [*names, setting, f"seed {cell['seed']}"])),
            "status": record["status"],
            "row": [
                *(*names, *([setting] if varied(sweep) else []), cell["seed"], record["status"]),
                *(_results(record) if done else ("", "", f"{origin['seconds']:.0f}", "")),
                str(origin["commit"])[:8] + ("+" if origin["dirty"] else ""),
            ],
            "lost": (place, cell["seed"]) not in finished,
            "command": origin["command"],
            "error": record["error"],
            "config": flat({k: v for k, v in record["config"].items() if k not in TOLD}),
            "origin": flat({k: v for k, v in origin.items() if k != "command"}),
            **(_details(record) if done else _curve(record)),
        }


def varied(sweep: Sweep) -> bool:
    """Whether cells differ in more than task, model, method and seed."""
    return bool(sweep.settings or sweep.trials)


def shared(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all say alike."""
    first, *others = each
    return {k: v for k, v in first.items() if all(k in other and other[k] == v for other in others)}


def _points(group: Sequence[Stored]) -> dict[str, str]:
    """By hash, the settings that tell the trials of a place apart."""
    configs = {
        record["hash"]: {k: v for k, v in flat(record["config"]).items() if k not in TOLD}
        for record in group
    }
    alike = shared([*configs.values()]) if configs else {}
    return {
        key: ", ".join(
            f"{name.rpartition('.')[2].replace('_', ' ')} {canonical(value)}"
            for name, value in config.items()
            if name not in alike
        )
        for key, config in configs.items()
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
    known = flat({key: record[key] for key in facts if record.get(key)})
    return {
        "facts": {key: _short(value) for key, value in known.items()},
        "scored": f"{record['selection']['metric']}, {record['selection']['split']} split (points)",
        "best": record["selection"]["step"],
        **_curve(record),
    }


def _curve(record: Stored) -> dict[str, Any]:
    """As far as the record came; nothing where it has none."""
    points = [[p["step"], p["loss"], 100 * p["score"]] for p in record.get("curve", [])]
    return {"curve": points} if points else {}


def _short(value: Any) -> Any:
    """A measured value, to six digits."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
