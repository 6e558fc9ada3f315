"""Two methods of a sweep tested against each other on the predictions that their runs kept."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ptbench.errors import did_you_mean
from ptbench.paired import Score, Tested, holm, mcnemar, paired_bootstrap, randomisation
from ptbench.predictions import aligned
from ptbench.statistics import Estimate
from ptbench.sweeps import Place, Stored, Sweep, SweepError, gather, observed, setting_text

DRAWS = 1000
SAID = (
    "Difference in points, with its 95 % interval: bootstrap, paired by seed and example.",
    "The bootstrap speaks of the methods, on further seeds and examples; McNemar and approximate "
    "randomisation of these trained models, on further examples.",
    "p (Holm): adjusted so that one level holds for all that is printed.",
)


class Line(NamedTuple):
    """One test: of what, on which seeds, its two-sided p, and that with Holm's adjustment."""

    task: str
    model: str
    setting: str
    test: str
    seeds: tuple[int, ...]
    difference: Estimate | None  # the first's main score less the second's, in points
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
    yield Line(*where, f"paired bootstrap, {metric}", seeds, _points(boot.difference), boot.p, 1.0)
    if metric == "accuracy":
        for seed, one, other in zip(seeds, *runs, strict=True):
            p = mcnemar(_right(one, references), _right(other, references))
            yield Line(*where, "McNemar, exact", (seed,), None, p, 1.0)
    else:
        p = randomisation(*rows, references, score, draws=draws)
        yield Line(*where, f"approximate randomisation, {metric}", seeds, None, p, 1.0)


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
    name, made = kind.main_metric, [metric(keep_in_memory=True) for metric in kind.metrics]
    alone = [one for one in made if name in one.scores(runs[0], references)]
    if not alone:
        return name, lambda *corpus: kind.score(*corpus)[name], runs
    (main, *_) = alone
    counts = [list(map(main.counts, run, references)) for run in runs]
    if counts[0][0] is None:
        return name, lambda *corpus: main.scores(*corpus)[name], runs
    return name, lambda rows, _: main.of_sums(*map(sum, zip(*rows, strict=True)))[name], counts


def _right(found: list[Any], references: list[Any]) -> np.ndarray:
    return np.array([one == gold for one, gold in zip(found, references, strict=True)])


def _points(estimate: Estimate) -> Estimate:
    value, interval = estimate
    return Estimate(100 * value, type(interval)(*(100 * end for end in interval)))


def show(lines: Sequence[Line], first: str, second: str, console: Console) -> None:
    """Print the tests and what they speak of."""
    shown = Table(title=f"{first} less {second}")
    settings = any(line.setting for line in lines)
    names = ("task", "model", *(["setting"] if settings else []), "test", "seeds")
    for name in (*names, "difference", "p", "p (Holm)"):
        shown.add_column(name, justify="right" if name.startswith(("p", "d")) else "left")
    for task, model, setting, test, seeds, difference, p, adjusted in lines:
        where = (task, model, *([setting] if settings else []), test)
        known = "-"
        if difference is not None:
            value, (low, high) = difference
            known = f"{value:+.1f} [{low:.1f}, {high:.1f}]"
        seen = ", ".join(map(str, seeds))
        shown.add_row(*map(escape, (*where, seen, known)), f"{p:.4f}", f"{adjusted:.4f}")
    console.print(shown)
    for line in SAID:
        console.print(f"- {line}", markup=False, highlight=False)
