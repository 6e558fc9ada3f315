"""One record a seed for tasks of many parts, such as LAMA's relations: the mean over the parts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from ptbench.sweeps import Place, Stored, Sweep, score

Places = Mapping[Place, list[Stored]]


def averaged(places: Places, sweep: Sweep) -> tuple[Places, Sweep]:
    """The places of a sweep without the axis `sweep.mean`, and the sweep without it.

    Each record is a seed's mean over that axis; unless all of it has finished, its status says how
    much has.
    """
    if sweep.mean is None:
        return places, sweep
    parts = len(sweep.axes[sweep.mean])
    axes = {key: values for key, values in sweep.axes.items() if key != sweep.mean}
    rest = replace(sweep, axes=axes, mean=None)
    number = sweep.settings.index(sweep.mean) if sweep.mean in sweep.settings else None
    seeds: dict[Place, dict[int, list[Stored]]] = {}
    for place, group in places.items():
        settings = tuple(value for n, value in enumerate(place.settings) if n != number)
        found = seeds.setdefault(place._replace(settings=settings), {})
        for record in group:
            found.setdefault(record["cell"]["seed"], []).append(record)
    means = {p: [_mean(g, parts) for g in by_seed.values()] for p, by_seed in seeds.items()}
    return means, rest


def _mean(group: Sequence[Stored], parts: int) -> Stored:
    done = [record for record in group if record["status"] == "done"]
    if len(done) < parts:
        return {**group[0], "status": f"{len(done)} of {parts} parts"}
    return {
        **done[0],
        **{key: _numbers([record[key] for record in done]) for key in ("scores", "floor", "cost")},
        "curve": _curve([record["curve"] for record in done]),
        "jackknife": _jackknife(done),
    }


def _numbers(values: Sequence[Any]) -> Any:
    """The mean of each number, down a mapping that all have alike."""
    if all(isinstance(value, Mapping) for value in values):
        return {key: _numbers([value.get(key) for value in values]) for key in values[0]}
    return None if None in values else fmean(values)


def _curve(curves: Sequence[Sequence[Stored]]) -> list[dict[str, Any]]:
    """The epochs that all have; a curve of fewer parts would jump."""
    by_epoch = [{point["epoch"]: point for point in curve} for curve in curves]
    epochs = sorted(set.intersection(*map(set, by_epoch)))
    return [_numbers([points[epoch] for points in by_epoch]) for epoch in epochs]


def _jackknife(done: Sequence[Stored]) -> dict[str, Any] | None:
    """The mean as it is without each group of examples of each part."""
    if not all(record.get("jackknife") for record in done):
        return None
    parts = [record["jackknife"] for record in done]
    mean = fmean(map(score, done))
    left_out = [
        mean + (without - score(record)) / len(done)
        for record, part in zip(done, parts, strict=True)
        for without in part["scores"]
    ]
    return {"references": " ".join(part["references"] for part in parts), "scores": left_out}
