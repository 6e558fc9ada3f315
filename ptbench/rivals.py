"""Several finished records of one cell: refused, or the trials of a search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptbench.errors import SweepError
from ptbench.paths import RECORDS, ROOT
from ptbench.records import path_of

Stored = Mapping[str, Any]  # one record file, as records.load gives it


def best_trials(group: Sequence[Stored]) -> list[Stored]:
    """The trial with the highest selection score of each seed, and those that did not finish."""
    done = [record for record in group if record["status"] == "done"]
    ranked = sorted(done, key=lambda record: record["selection"]["score"])
    best = {record["cell"]["seed"]: record for record in ranked}
    return [r for r in group if r["status"] != "done" or r is best[r["cell"]["seed"]]]


def spent(record: Stored) -> bool:
    """Whether a trial counts towards its search's budget; what was interrupted is drawn again."""
    return record["status"] != "interrupted"


def refuse_rivals(group: Sequence[Stored], sweep: str) -> None:
    """Raises SweepError where a seed has finished twice, with the settings that differ."""
    seen: dict[int, Stored] = {}
    for record in group:
        if record["status"] != "done":
            continue
        rival = seen.setdefault(record["cell"]["seed"], record)
        if rival is not record:
            raise SweepError(
                f"two finished records for one cell, {_file(rival, sweep)} "
                f"and {_file(record, sweep)}; they differ in {_differing(rival, record)}: delete "
                "the outdated one"
            )


def _differing(one: Stored, other: Stored, most: int = 3) -> str:
    """The settings that differ, with both values; or that none does."""
    ours, theirs = (flat(record["config"]) for record in (one, other))
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    told = [f"{key} ({ours.get(key)}, {theirs.get(key)})" for key in keys]
    more = ["..."] if told[most:] else []
    return ", ".join([*told[:most], *more]) or "data, backbone or code, not in their settings"


def flat(value: Stored, above: str = "") -> dict[str, Any]:
    """The leaves of nested settings, each under its dotted key."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            found |= flat(inner, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = inner
    return found


def _file(record: Stored, sweep: str) -> Path:
    folder = RECORDS.relative_to(ROOT)
    return path_of(sweep, record["cell"], record["hash"], folder)
