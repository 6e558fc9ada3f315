"""Two methods of a sweep tested against each other on the predictions that their runs kept."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ptbench.errors import did_you_mean
from ptbench.paired import Score, Tested, holm, mcnemar, paired_bootstrap, randomisation
from ptbench.predictions import aligned
from ptbench.statistics import Interval
from ptbench.sweeps import Place, Stored, Sweep, SweepError, gather, observed, setting_text

DRAWS = 1000
SAID = (
    "Difference in points over the seeds named; its 95 % interval is of a bootstrap paired by seed "
    "and example.",
    "The bootstrap speaks of the methods, on further seeds and examples; McNemar's exact test and "
    "approximate randomisation of these trained models, on further examples.",
    "p (Holm): adjusted so that one level holds for all that is printed.",
)


class Line(NamedTuple):
    """One test: of what, on which seeds, its two-sided p, and that with Holm's adjustment."""

    task: str
    model: str
    setting: str
    test: str
    seeds: tuple[int, ...]
    difference: float  # the first's main score less the second's, in points
    interval: Interval | None  # of that, where the test gives one
    p: float
    adjusted: float


def compare(
    records: Sequence[Stored], sweep: Sweep | None, first: str, second: str, draws: int = DRAWS
) -> list[Line]:
    """All tests of two methods, on each task, model and further setting that both have.

    Raises SweepError where there is no such method or nothing to compare, PredictionsError where
    predictions are missing or belong to other examples.
    """
    sweep = sweep or observed(records)
    for method in (first, second):
        if method not in sweep.axes["method"]:
            known = did_you_mean(method, sweep.axes["method"])
            raise SweepError(f"{sweep.name} has no method {method!r}; {known}")
    if first == second:
        raise SweepError(f"--first and --second are both {first!r}; name two methods")
    places = gather(records, sweep)
    lines = [
        line
        for place in places
        if place.method == first
        for line in _tests(
            place, places[place], places[place._replace(method=second)], sweep, draws
        )
    ]
    if not lines:
        raise SweepError(
            f"{sweep.name}: no seed has finished with both {first} and {second}; "
            f"`ptbench run sweeps={sweep.name}`"
        )
    adjusted = holm(np.array([line.p for line in lines]))
    return [line._replace(adjusted=float(p)) for line, p in zip(lines, adjusted, strict=True)]


def _tests(
    place: Place, ours: Sequence[Stored], theirs: Sequence[Stored], sweep: Sweep, draws: int
) -> Iterator[Line]:
    done = [
        {r["cell"]["seed"]: r for r in group if r["status"] == "done"} for group in (ours, theirs)
    ]
    seeds = tuple(sorted(set.intersection(*map(set, done))))
    if not seeds:
        return
    paired = [by_seed[seed] for by_seed in done for seed in seeds]
    found, references = aligned(sweep.name, paired)
    runs = found[: len(seeds)], found[len(seeds) :]
    metric, score, scored = _scorer(paired[0], found, references)
    rows = scored[: len(seeds)], scored[len(seeds) :]
    where = (place.task, place.model, setting_text(sweep, place))
    boot: Tested = paired_bootstrap(*rows, references, score, draws=draws)
    value, (low, high) = boot.difference
    interval = Interval(100 * low, 100 * high)
    yield Line(*where, f"bootstrap, {metric}", seeds, 100 * value, interval, boot.p, 1.0)
    if metric == "accuracy":
        for seed, *pair in zip(seeds, *runs, strict=True):
            one, other = (_right(run, references) for run in pair)
            points = 100 * float(one.mean() - other.mean())
            yield Line(*where, "McNemar", (seed,), points, None, mcnemar(one, other), 1.0)
    else:
        p = randomisation(*rows, references, score, draws=draws)
        yield Line(*where, f"randomisation, {metric}", seeds, 100 * value, None, p, 1.0)


def _scorer(
    record: Stored, runs: list[list[Any]], references: list[Any]
) -> tuple[str, Score, list[list[Any]]]:
    """The main metric of a record's task, its score of a corpus, and the rows that this scores.

    These are what a row counts, where sums of that are enough, since draws score them very often.
    """
    from omegaconf import OmegaConf

    from ptbench.build import build
    from ptbench.task import Task

    kind = build(OmegaConf.create(record["config"]["task"]), "task", Task).asks
    if kind.metrics:  # its first has the main score; a task of several data sets has none
        main = kind.metrics[0](keep_in_memory=True)
        pairs = [kind.compared(run, references) for run in runs]
        counts = [list(map(main.counts, *pair)) for pair in pairs]
        if counts[0][0] is not None:

            def scored(rows: list[Any], _: list[Any]) -> float:
                return main.of_sums(*map(sum, zip(*rows, strict=True)))[kind.main_metric]

            return kind.main_metric, scored, counts
    return kind.main_metric, kind.main_score, runs


def _right(found: list[Any], references: list[Any]) -> np.ndarray:
    return np.array([one == gold for one, gold in zip(found, references, strict=True)])


def show(lines: Sequence[Line], first: str, second: str, console: Console) -> None:
    """Print the tests and what they speak of."""
    models = {line.model for line in lines}
    on = f" on {models.pop()}" if len(models) == 1 else ""
    columns = {
        "task": [line.task for line in lines],
        "model": [] if on else [line.model for line in lines],
        "setting": [line.setting for line in lines],
        "test": [line.test for line in lines],
        "seeds": [", ".join(map(str, line.seeds)) for line in lines],
        "difference": [_told(line) for line in lines],
        "p": [f"{line.p:.4f}" for line in lines],
        "p (Holm)": [f"{line.adjusted:.4f}" for line in lines],
    }
    known = {name: column for name, column in columns.items() if any(column)}
    shown = Table(title=f"{first} less {second}{on}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in known:
        number = name in ("difference", "p", "p (Holm)")
        justify = "right" if name.startswith("p") else "left"
        shown.add_column(name, justify=justify, no_wrap=number, overflow="fold")
    for row in zip(*known.values(), strict=True):
        shown.add_row(*map(escape, row))
    console.print(shown)
    for line in SAID:
        console.print(f"- {line}", markup=False, highlight=False)


def _told(line: Line) -> str:
    interval = f" [{line.interval.low:.1f}, {line.interval.high:.1f}]" if line.interval else ""
    return f"{line.difference:+.1f}{interval}"
