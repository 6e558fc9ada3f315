"""Which methods of a table differ from the best of their column by more than seeds and examples do.

All pairs of a column and model are tested, since which of them is best is seen only afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ptbench.sweeps import Place, Stored, score

LEVEL = 0.05


class Separation(NamedTuple):
    """p against the best of column and model, by place; and the tasks and models without a test."""

    p: Mapping[Place, float]
    untested: tuple[tuple[str, str], ...]


def separation(places: Mapping[Place, Sequence[Stored]]) -> Separation:
    """Paired t tests over seeds and examples, Holm's adjustment over all of the table.

    A test takes the seeds that all methods of its column and model have, at least two, and records
    that say how the score hangs on the examples.
    """
    columns: dict[tuple[str, str], dict[Place, list[Stored]]] = {}
    for place, group in places.items():
        if done := [record for record in group if record["status"] == "done"]:
            columns.setdefault((place.task, place.model), {})[place] = done
    rivals = {key: column for key, column in columns.items() if len(column) > 1}
    tested = {key: column for key, column in rivals.items() if _comparable(column)}
    untested = tuple(key for key in rivals if key not in tested)
    return Separation(_against_best(list(tested.values())), untested if tested else ())


def _comparable(column: Mapping[Place, Sequence[Stored]]) -> bool:
    """Whether all were scored on the same examples, group by group, with two seeds in common."""
    parts = [record.get("jackknife") for records in column.values() for record in records]
    forms = {(part["references"], len(part["scores"])) if part else ("", 0) for part in parts}
    (_, groups), *others = forms
    return groups > 1 and not others and len(_common(column)) > 1


def _common(column: Mapping[Place, Sequence[Stored]]) -> list[int]:
    """The seeds that all have."""
    return sorted(set.intersection(*({r["cell"]["seed"] for r in rs} for rs in column.values())))


def _against_best(columns: Sequence[Mapping[Place, Sequence[Stored]]]) -> dict[Place, float]:
    if not columns:
        return {}
    import numpy as np

    from ptbench.paired import holm, t_test

    found: dict[Place, float] = {}
    pairs, raw = [], []
    for column in columns:
        chosen = [_of(column[place], _common(column)) for place in column]
        first, second = np.triu_indices(len(column), 1)
        whole = np.array([[score(record) for record in records] for records in chosen])
        left_out = np.array([[r["jackknife"]["scores"] for r in records] for records in chosen])
        raw.append(t_test(whole[first] - whole[second], left_out[first] - left_out[second]).p)
        names = list(column)
        pairs += [{names[i], names[j]} for i, j in zip(first, second, strict=True)]
    adjusted = dict(zip(map(frozenset, pairs), holm(np.concatenate(raw)), strict=True))
    for column in columns:
        best = max(column, key=lambda place: np.mean([score(r) for r in column[place]]))
        found |= {p: float(adjusted[frozenset((p, best))]) for p in column if p != best}
    return found


def _of(records: Sequence[Stored], seeds: Sequence[int]) -> list[Stored]:
    by_seed = {record["cell"]["seed"]: record for record in records}
    return [by_seed[seed] for seed in seeds]
