"""Two methods of a sweep tested on their predictions of the same examples, seed by seed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

from ptbench.errors import PtbenchError, did_you_mean
from ptbench.forms import Section
from ptbench.paired import Score, holm, mcnemar, paired_bootstrap, randomisation
from ptbench.paths import PREDICTIONS
from ptbench.predictions import aligned, file_of
from ptbench.statistics import DRAWS, Estimate
from ptbench.sweeps import Place, Stored, Sweep, gather, observed, score, setting_text

HEADER = ("difference", "95 % interval", "test", "p", "p (Holm)")
MCNEMAR, RANDOMISATION = "McNemar", "randomisation"


class CompareError(PtbenchError):
    """Methods that cannot be compared; the message says what they lack."""


class Pair(NamedTuple):
    """The records of both methods at one place, of the seeds that both have."""

    place: Place  # of the first
    first: list[Stored]
    second: list[Stored]


class Compared(NamedTuple):
    """A test of one place: scores from 0 to 1, the first's less the second's, p by itself."""

    pair: Pair
    means: tuple[float, float]
    difference: Estimate
    test: str
    p: float


def compare(
    records: Sequence[Stored],
    sweep: Sweep | None,
    methods: tuple[str, str],
    draws: int = DRAWS,
    folder: Path = PREDICTIONS,
) -> Section:
    """A line for each task, model and setting at which both methods have finished a seed.

    Raises CompareError where there is none or predictions are missing, PredictionsError where
    they cannot be read or do not belong together.
    """
    sweep = sweep or observed(records)
    pairs = _pairs(records, sweep, methods)
    _check_kept(pairs, sweep, folder)
    found = [_tested(pair, sweep.name, draws, folder) for pair in pairs]
    adjusted = holm(np.array([one.p for one in found]))
    lines = [["task", "model", "setting", "seeds", *methods, *HEADER]]
    for one, p in zip(found, adjusted, strict=True):
        place, (value, (low, high)) = one.pair.place, one.difference
        metric = one.pair.first[0]["selection"]["metric"]
        named = [f"{place.task} ({metric})", place.model, setting_text(sweep, place) or "-"]
        means = [f"{100 * mean:.1f}" for mean in one.means]
        interval = f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        lines.append([*named, str(len(one.pair.first)), *means, f"{100 * value:+.1f}", interval])
        lines[-1] += [one.test, _p(one.p), _p(float(p))]
    return Section(f"{methods[0]} and {methods[1]}", lines, range(3, 8), _caption(found))


def _pairs(records: Sequence[Stored], sweep: Sweep, methods: tuple[str, str]) -> list[Pair]:
    known = sweep.axes["method"]
    for method in methods:
        if method not in known:
            raise CompareError(
                f"{sweep.name} has no method {method}; {did_you_mean(method, known)}"
            )
    if methods[0] == methods[1]:
        raise CompareError(f"{methods[0]} is named twice; name two methods of {', '.join(known)}")
    places = gather(records, sweep)
    pairs = []
    for place in (place for place in places if place.method == methods[0]):
        first, second = (
            {
                r["cell"]["seed"]: r
                for r in places[place._replace(method=m)]
                if r["status"] == "done"
            }
            for m in methods
        )
        if seeds := sorted(first.keys() & second.keys()):
            pairs.append(Pair(place, [first[s] for s in seeds], [second[s] for s in seeds]))
    if not pairs:
        raise CompareError(
            f"{sweep.name}: no task has a finished seed of both {methods[0]} and {methods[1]}; "
            f"`ptbench run sweeps={sweep.name}` trains what is missing"
        )
    return pairs


def _check_kept(pairs: Sequence[Pair], sweep: Sweep, folder: Path) -> None:
    files = [file_of(sweep.name, r, folder) for pair in pairs for r in (*pair.first, *pair.second)]
    if lost := [file for file in files if not file.exists()]:
        raise CompareError(
            f"predictions of {len(lost)} of {len(files)} cells are missing, such as {lost[0]}: "
            "they are not in git; copy them from the machine that trained, or train them again "
            f"(`ptbench run sweeps={sweep.name} rerun=true predictions=true`)"
        )


def _tested(pair: Pair, sweep: str, draws: int, folder: Path) -> Compared:
    found, references = aligned(sweep, [*pair.first, *pair.second], folder)
    first, second = found[: len(pair.first)], found[len(pair.first) :]
    scorer = _scorer(pair.first[0], found[0], references)
    for record, predictions in zip([*pair.first, *pair.second], found, strict=True):
        if abs(scorer(predictions, references) - score(record)) > 1e-6:
            raise CompareError(
                f"{file_of(sweep, record, folder)} does not score what its record says; train its "
                "cell again (rerun=true)"
            )
    if pair.first[0]["selection"]["metric"] == "accuracy":
        right = [np.array([p == r for p, r in zip(run, references, strict=True)]) for run in found]
        each = [
            mcnemar(a, b) for a, b in zip(right[: len(first)], right[len(first) :], strict=True)
        ]
        test, p = MCNEMAR, each[0] if len(each) == 1 else min(1.0, 2 * median(each))
    else:
        test, p = RANDOMISATION, randomisation(first, second, references, scorer, draws)
    bootstrap = paired_bootstrap(first, second, references, scorer, draws=draws)
    means = fmean(map(score, pair.first)), fmean(map(score, pair.second))
    return Compared(pair, means, bootstrap.difference, test, p)


def _scorer(record: Stored, predictions: list[Any], references: list[Any]) -> Score:
    """The main score alone and without `evaluate`'s Arrow, as it is taken thousands of times."""
    metric = record["selection"]["metric"]
    if metric == "accuracy":
        return lambda found, gold: fmean(p == r for p, r in zip(found, gold, strict=True))
    from omegaconf import OmegaConf

    from ptbench.build import build
    from ptbench.task import Task

    kind = build(OmegaConf.create(record["config"]["task"]), "task", Task).asks
    for made in kind.metrics:
        direct = type(made.__name__, (made,), {"compute": _direct})
        alone = replace(kind, metrics=(direct,), main_metric=metric)
        if metric in alone.score(predictions, references):
            return lambda found, gold: alone.score(found, gold)[metric]
    return lambda found, gold: kind.score(found, gold)[metric]  # of several data sets


def _direct(metric: Any, *, predictions: list[Any], references: list[Any]) -> dict[str, float]:
    """What `compute` gives."""
    return metric.scores(predictions, references)


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _caption(found: Sequence[Compared]) -> tuple[str, ...]:
    used = {one.test for one in found}
    several = any(len(one.pair.first) > 1 for one in found)
    lines = [
        "Difference: first less second, in points, with a bootstrap over seeds and examples that "
        "both have. p is of these trained models on further examples, not of further seeds.",
    ]
    if MCNEMAR in used:
        lines.append(
            "McNemar: exact, two-sided"
            + (", of several seeds twice the median of their p (Rüger 1978)." if several else ".")
        )
    if RANDOMISATION in used:
        lines.append("Randomisation: predictions of an example change places in all seeds at once.")
    lines.append(f"Holm: adjusted over these {len(found)}; they hold together at one level.")
    return tuple(lines)
