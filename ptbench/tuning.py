"""The best point of a search, written where later runs of that cell find it: conf/tuned/."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptbench.errors import PtbenchError
from ptbench.paths import CONF
from ptbench.records import load

KEY = "learning_rate"


def best(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """The finished record with the highest selection score of each task, model and method.

    Of equal scores the lower learning rate wins.
    """
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    done = [record for record in records if record["status"] == "done"]
    for record in sorted(done, key=lambda r: (-r["selection"]["score"], r["config"]["train"][KEY])):
        cell = record["cell"]
        found.setdefault((cell["task"], cell["model"], cell["method"]), record)
    return found


def write(sweep: str, also: Mapping[str, str], folder: Path = CONF / "tuned") -> list[Path]:
    """Writes a file for each cell of a search, and for tasks in `also` the values of another.

    Raises PtbenchError where the search has no finished record of a task that `also` names.
    """
    records = load(sweep)
    chosen = best(records)
    if unknown := set(also.values()) - {task for task, *_ in chosen}:
        raise PtbenchError(f"sweep {sweep} has no finished record of task {sorted(unknown)[0]}")
    files = []
    for (task, model, method), record in chosen.items():
        tried = sorted({_rate(r) for r in records if _names(r) == (task, model, method)})
        for target in [task, *(name for name, source in also.items() if source == task)]:
            file = folder / target / f"{model}-{method}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_text(sweep, task, record, tried), encoding="utf-8")
            files.append(file)
    return files


def _text(sweep: str, task: str, record: Mapping[str, Any], tried: Sequence[float]) -> str:
    rate, score = _rate(record), record["selection"]
    commit = (record["provenance"]["commit"] or "no commit")[:8]
    edge = ", an edge of the space" if rate in (tried[0], tried[-1]) else ""
    points = ", ".join(f"{point:g}" for point in tried)
    return (
        "# @package _global_\n"
        f"# Source: sweep {sweep} at {commit}, task {task}: best of "
        f"{points} ({score['metric']} {score['score']:.3f} on {score['split']} rows{edge}).\n"
        f"train: {{{KEY}: {rate:g}}}\n"
    )


def _rate(record: Mapping[str, Any]) -> float:
    return record["config"]["train"][KEY]


def _names(record: Mapping[str, Any]) -> tuple[str, str, str]:
    cell = record["cell"]
    return cell["task"], cell["model"], cell["method"]
