"""`ptbench search`: Optuna draws the points of a sweep's space, and each becomes a recorded cell.

The records are the truth: a study is built from them, so that a search that was killed goes on.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from ptbench import records, run, sweeps
from ptbench.errors import ConfigError, Pruned
from ptbench.paths import CONF, SWEEPS
from ptbench.rivals import spent
from ptbench.train import Point

STATES = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED}  # others have failed
REPEATS = 100  # draws of points that are there, after which a space counts as exhausted
EDGE = 0.05  # share of a range, in logarithms, that counts as its edge
Cell = tuple[str, str, str, str]  # task, model, method, seed
Space = dict[str, BaseDistribution]


@dataclass(frozen=True)
class Search:
    """The `search` node of a sweep: how many trials each cell gets, and each method's space."""

    sweep: str
    trials: int
    spaces: dict[str, Space]
    cells: list[Cell]


def read(name: str, folder: Path = SWEEPS) -> Search:
    """The search of a sweep file. Raises ConfigError naming what its node lacks."""
    sweep = sweeps.read(name, folder)
    if not sweep.trials:
        raise ConfigError(
            f"sweeps/{name}.yaml has no node search with trials and space; `ptbench run "
            f"sweeps={name}` runs a sweep that is no search"
        )
    node: Any = OmegaConf.to_container(OmegaConf.load(folder / f"{name}.yaml"))
    spaces = {
        method: {key: _distribution(key, v) for key, v in space.items()}
        for method, space in node["search"].get("space", {}).items()
    }
    if lacking := [method for method in sweep.axes["method"] if not spaces.get(method)]:
        raise ConfigError(f"sweeps/{name}.yaml: search.space.{lacking[0]} is missing; give it one")
    cells: list[Cell] = list(product(*(sweep.axes[axis] for axis in sweeps.CELL)))  # pyright: ignore[reportAssignmentType]
    return Search(name, sweep.trials, spaces, cells)


def search(name: str, overrides: Sequence[str] = (), folder: Path = CONF / "tuned") -> list[Path]:
    """Runs what is missing of a search, then writes the best point of each cell to `folder`.

    `overrides` are Hydra's, such as data.root=<folder>. Faults of a cell are recorded as always.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = read(name)
    return [
        file
        for cell in asked.cells
        if (file := _write(asked, cell, _searched(asked, cell, overrides), folder))
    ]


def _searched(asked: Search, cell: Cell, overrides: Sequence[str]) -> optuna.Study:
    space, repeats = asked.spaces[cell[2]], 0
    while True:
        study = _study(found := _of(asked, cell), space, len(found) + repeats)
        if len(found) >= asked.trials or repeats >= REPEATS:
            return study
        trial = study.ask(space)
        if trial.params in [_params(record, space) for record in found]:
            repeats += 1
            continue
        point = [f"{key}={value}" for key, value in trial.params.items()]
        names = [f"{axis}={value}" for axis, value in zip(sweeps.CELL, cell, strict=True)]
        with _composed(*names, f"sweeps={asked.sweep}", *overrides, *point) as config:
            planned = run.plan(config)
            try:
                run.run(planned, report=Pruning(trial))
            except Exception:  # its record tells the rest, and the search goes on
                if not planned.file.exists():  # nothing is recorded, so it would come for ever
                    raise


class Pruning:
    """Tells a trial each evaluation, and ends the cell where Optuna's pruner says so."""

    def __init__(self, trial: Trial):
        self.trial = trial
        self.curve: list[Point] = []

    def __call__(self, point: Point) -> None:
        self.curve.append(point)
        self.trial.report(point.score, point.step)
        if self.trial.should_prune():
            end = f"epoch {point.epoch:g} with a score of {point.score:.4f}"
            raise Pruned(f"behind the other trials at {end}", [vars(p) for p in self.curve])


def _study(found: Sequence[sweeps.Stored], space: Space, seed: int = 0) -> optuna.Study:
    """The study that these records are; its next draw hangs on them and the seed alone."""
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.add_trials([_trial(record, space) for record in found])
    return study


def _trial(record: sweeps.Stored, space: Space) -> FrozenTrial:
    state = STATES.get(record["status"], TrialState.FAIL)
    done = state is TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=state,
        params=_params(record, space),
        distributions=space,
        value=record["selection"]["score"] if done else None,
        intermediate_values={p["step"]: p["score"] for p in record.get("curve", [])},
    )


def _of(asked: Search, cell: Cell) -> list[sweeps.Stored]:
    """The records of a cell's search that are spent."""
    names = dict(zip(sweeps.CELL, cell, strict=True))
    return [
        record
        for record in records.load(asked.sweep)
        if {key: str(record["cell"][key]) for key in names} == names and spent(record)
    ]


def _write(asked: Search, cell: Cell, study: optuna.Study, folder: Path) -> Path | None:
    """The best point as the cell's config; None where no trial has finished."""
    counts = Counter(trial.state for trial in study.trials)
    if not counts[TrialState.COMPLETE]:
        return None
    task, model, method, _ = cell
    best, space = study.best_trial, asked.spaces[method]
    record = next(r for r in _of(asked, cell) if _params(r, space) == best.params)
    commit = (record["provenance"]["commit"] or "no commit")[:8]
    edges = [key for key, value in best.params.items() if on_edge(value, space[key])]
    edge = f"; {', '.join(edges)} on an edge of the space" if edges else ""
    config = OmegaConf.create()
    for key, value in best.params.items():
        OmegaConf.update(config, key, value)
    file = folder / task / f"{model}-{method}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "# @package _global_\n"
        f"# Source: sweep {asked.sweep} at {commit}, task {task}: best of {len(study.trials)} "
        f"trials, {counts[TrialState.PRUNED]} of them pruned ({record['selection']['metric']} "
        f"{best.value:.3f} on {record['selection']['split']} rows{edge}).\n"
        f"{OmegaConf.to_yaml(config)}",
        encoding="utf-8",
    )
    return file


def on_edge(value: Any, distribution: BaseDistribution) -> bool:
    """Whether a point lies at an end of its range, so that better ones may lie beyond."""
    if isinstance(distribution, FloatDistribution):
        low, high = math.log(distribution.low), math.log(distribution.high)
        place = (math.log(value) - low) / (high - low)
        return not EDGE < place < 1 - EDGE
    assert isinstance(distribution, CategoricalDistribution)
    return len(distribution.choices) > 2 and value in (
        distribution.choices[0],
        distribution.choices[-1],
    )


def _params(record: sweeps.Stored, space: Space) -> dict[str, Any]:
    config = OmegaConf.create(dict(record["config"]))
    return {key: OmegaConf.select(config, key) for key in space}


def _distribution(key: str, given: Any) -> BaseDistribution:
    """`{low, high}` is a range in logarithms, a list its values in order."""
    if isinstance(given, list) and given:
        return CategoricalDistribution(given)
    if isinstance(given, Mapping) and set(given) == {"low", "high"}:
        low, high = float(given["low"]), float(given["high"])
        if 0 < low < high:
            return FloatDistribution(low, high, log=True)
    raise ConfigError(
        f"search space of {key}: {given!r} is neither a list of values nor "
        "{low: ..., high: ...} with 0 < low < high"
    )


@contextmanager
def _composed(*overrides: str) -> Iterator[DictConfig]:
    """The config of one cell, as `ptbench run` would compose it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(deepcopy(config))
        with read_write(config), open_dict(config):
            del config["hydra"]
        yield config
