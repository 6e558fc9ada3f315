"""What of a sweep is done, being trained, failed or missing, read off its records.

A cell is told by the sweep's axes. A setting changed in conf/ since is seen by `run` alone, which
composes each cell and compares hashes; that takes minutes where this takes a second.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from hydra.errors import HydraException

from ptbench import records, sweeps
from ptbench.estimates import Estimate, Estimates
from ptbench.paths import RECORDS
from ptbench.provenance import UNRECORDED
from ptbench.rivals import spent
from ptbench.sweeps import (
    CELL,
    Place,
    Stored,
    Sweep,
    SweepError,
    canonical,
    place_of,
    places,
    setting,
    values_of,
)


class State(StrEnum):
    """How far a cell is."""

    done = "done"
    training = "being trained"
    failed = "failed"
    missing = "missing"


class Trials(NamedTuple):
    """How many trials of a search's cell there are, and how many it gets."""

    spent: int
    asked: int


@dataclass(frozen=True)
class Planned:
    """A cell of a sweep: its last record (or what its process says), and what it will take."""

    place: Place
    seed: int
    state: State
    record: Stored | None
    estimate: Estimate | None = None  # of one training
    trials: Trials | None = None  # of a search

    @property
    def left(self) -> int:
        """How many trainings it still takes."""
        if self.trials:
            return max(0, self.trials.asked - self.trials.spent)
        return int(self.state is not State.done)


def of(name: str, overrides: Sequence[str] = ()) -> tuple[Sweep, list[Planned]]:
    """The sweep of that name with all its cells, as records and processes tell of them now."""
    own, training = records.load(name), records.training(name)
    sweep = narrowed(described(name, [*own, *training]), overrides)
    others = [r for other in recorded() if other != name for r in records.load(other)]
    return sweep, plan(own, sweep, others, training)


def described(name: str, own: Sequence[Stored]) -> Sweep:
    """The sweep of that file, or what its records span. Raises SweepError without either."""
    if (sweep := sweeps.find(name)) is None and not own:
        raise sweeps.no_records(name)
    return sweep or sweeps.observed(own)


def recorded() -> list[str]:
    """The sweeps that have records."""
    return sorted(path.name for path in RECORDS.glob("*/"))


def narrowed(sweep: Sweep, overrides: Sequence[str]) -> Sweep:
    """The sweep with the axes that overrides replace or add, as `ptbench run` takes them.

    Raises SweepError for what is no override.
    """
    axes = dict(sweep.axes)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or key.startswith("-"):
            raise SweepError(
                f"{override!r} is no override; write key=value, as after `ptbench run`"
            )
        try:
            axes[key.lstrip("+")] = values_of(key, text)
        except HydraException as error:
            raise SweepError(f"{override!r} cannot be read: {error}; quote its value") from error
    return replace(sweep, axes=axes)


def plan(
    own: Sequence[Stored],
    sweep: Sweep,
    others: Sequence[Stored] = (),
    training: Sequence[Stored] = (),
) -> list[Planned]:
    """Every cell of the sweep; those that will be trained with an estimate.

    `others` are records of other sweeps, to estimate by; `training` what processes train now.
    Raises SweepError where a cell has finished with two hashes.
    """
    fixed = {
        key: canonical(values[0])
        for key, values in sweep.axes.items()
        if key not in CELL and not values[1:] and _recorded(key)
    }
    fitting = [r for r in own if _fits(r, fixed)]
    running = places([r for r in training if _fits(r, fixed)], sweep)
    count = Counter((place_of(r, sweep), r["cell"]["seed"]) for r in fitting if spent(r))
    estimates = Estimates(sweep, fitting, [*own, *others])
    cells = []
    for place, group in places(fitting, sweep).items():
        for seed in map(int, sweep.axes["seed"]):
            trials = Trials(count[place, seed], sweep.trials) if sweep.trials else None
            state, record = _state(group, running[place], seed, trials)
            estimate = None if state is State.done else estimates.of(place)
            cells.append(Planned(place, seed, state, record, estimate, trials))
    return cells


def _state(
    group: Sequence[Stored], running: Sequence[Stored], seed: int, trials: Trials | None
) -> tuple[State, Stored | None]:
    mine, now = ([r for r in rs if r["cell"]["seed"] == seed] for rs in (group, running))
    done = [record for record in mine if record["status"] == "done"]
    if now:
        return State.training, now[0]
    if trials and trials.spent < trials.asked:
        return State.missing, None
    if done:
        return State.done, done[0]
    if mine:
        return State.failed, max(mine, key=lambda record: record["provenance"]["time"])
    return State.missing, None


def _recorded(key: str) -> bool:
    told = key.partition(".")[0] not in (*UNRECORDED, "sweeps", "tuned")
    return told and "/" not in key and key != "data.root"


def _fits(record: Stored, fixed: Mapping[str, str]) -> bool:
    return all(setting(record, key) == value for key, value in fixed.items())
