"""How the methods of a table do over its tasks: normalised scores, ranks, chances to be better."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ptbench.statistics import (
    Estimate,
    Scores,
    improvement,
    means_and_ranks,
    normalised,
)
from ptbench.summary import Row, Table

LEAST = 5.0  # points from floor to fine-tuning: a shorter scale would show noise at full size
FEW_SEEDS, FEW_TASKS = 5, 4


class Standing(NamedTuple):
    """A method over all tasks; `better`: P(it beats fine-tuning), None of fine-tuning itself."""

    title: str
    score: Estimate
    rank: Estimate
    better: Estimate | None


class Across(NamedTuple):
    """The methods on one model, what that rests on, and what is left out for which reason."""

    model: str
    standings: tuple[Standing, ...]
    tasks: tuple[str, ...]
    seeds: int
    left_out: dict[str, str]


@lru_cache(1)  # the forms of a table share it
def across(table: Table) -> list[Across]:
    """A summary for each model, where one has a meaning.

    It takes two tasks or more on which fine-tuning stands clear of the floor, two seeds or more,
    two methods or more that have all of these, and no axis beside task, model, method and seed.
    """
    if table.seeds < 2 or table.sweep.settings:
        return []
    models = dict.fromkeys(row.model for row in table.rows)
    found = [_of([row for row in table.rows if row.model == model], table) for model in models]
    return [one for one in found if one is not None]


def _of(rows: Sequence[Row], table: Table) -> Across | None:
    top = [row for row in rows if any(_fine_tunes(entry.grid) for entry in row.entries)]
    if len(top) != 1:
        return None
    reasons = {place: _unfit(top[0], place, table) for place in range(len(table.columns))}
    kept = [place for place, reason in reasons.items() if reason is None]
    whole = [row for row in rows if all(len(row.entries[p].values) == table.seeds for p in kept)]
    if len(kept) < 2 or len(whole) < 2:
        return None
    left_out = {table.columns[p].task: reason for p, reason in reasons.items() if reason}
    left_out |= {row.title: "not all seeds on all tasks" for row in rows if row not in whole}
    tasks = tuple(table.columns[place].task for place in kept)
    scores = _scores(whole, top[0], kept, table)
    return Across(whole[0].model, _standings(whole, top[0], scores), tasks, table.seeds, left_out)


def _fine_tunes(grid: dict[str, str]) -> bool:
    return bool(grid) and grid["backbone"] == "trained" and grid["prompt"] == "-"


def _unfit(top: Row, place: int, table: Table) -> str | None:
    """Why a task has no scale, or None."""
    floor, entry = table.columns[place].floor, top.entries[place]
    if len(entry.values) < table.seeds or entry.mean is None:
        return "fine-tuning lacks seeds"
    if floor is None:
        return "no floor"
    if entry.mean - floor < LEAST:
        return f"fine-tuning less than {LEAST:g} points above the floor"
    return None


def _scores(rows: Sequence[Row], top: Row, kept: Sequence[int], table: Table) -> Scores:
    scales = [(table.columns[p].floor or 0.0, top.entries[p].mean or 0.0) for p in kept]
    return np.array(
        [
            [
                [normalised(value, *scale) for value in row.entries[place].values]
                for place, scale in zip(kept, scales, strict=True)
            ]
            for row in rows
        ]
    )


def _standings(rows: Sequence[Row], top: Row, scores: Scores) -> tuple[Standing, ...]:
    against = scores[list(rows).index(top)]
    pairs = zip(rows, scores, strict=True)
    better = [None if row is top else improvement(one, against) for row, one in pairs]
    parts = zip(rows, *means_and_ranks(scores), better, strict=True)
    return tuple(Standing(row.label, mean, rank, beats) for row, mean, rank, beats in parts)
