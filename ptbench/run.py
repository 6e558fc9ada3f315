"""`ptbench run`: Hydra composes cells, each becomes one record."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from ptbench import composing, predictions, records
from ptbench.another import another
from ptbench.errors import ConfigError, Pruned, PtbenchError
from ptbench.paths import CONF, PREDICTIONS, RUNS
from ptbench.provenance import command, nameless, portable, provenance

LOGGER = logging.getLogger(__name__)
Report = Callable[[Any], None]  # of a train.Point; that module would load torch
# which config nodes decide a result, and the cell's parts that are built from them
DECIDING = {name: name for name in ("method", "task", "model", "protocol")} | {"train": "training"}
ROWS = ("train_rows", "train_split", "eval_rows")  # what decides of data beside their identity

composing.prepare()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> None:
    """Runs one cell, unless its record is there or another process is at it."""
    planned = plan(config)
    if config.fuse != "off":
        from ptbench.fuse import QUEUE

        return QUEUE.add(planned)
    try:
        run(planned)
    except records.Busy as busy:
        LOGGER.info("%s; skipped", busy)


@dataclass(frozen=True)
class Plan:
    """One cell: its parts, what fixes its result, and the plan of the cell that it starts from."""

    config: DictConfig
    cell: Any
    identity: dict[str, str]
    head: dict[str, Any]  # what its record begins with
    command: str
    start: "Plan | None"

    @property
    def name(self) -> str:
        """What to call it in a line."""
        names = self.head["cell"]
        return f"{names['task']} {names['model']} {names['method']} seed {names['seed']}"

    @property
    def file(self) -> Path:
        """Where its record goes."""
        return records.path_of(self.config.sweep, self.head["cell"], self.head["hash"])

    @property
    def predictions(self) -> Path:
        """Where its predictions go, if they are kept."""
        return predictions.file_of(self.config.sweep, self.head, PREDICTIONS)

    @property
    def weights(self) -> Path:
        """Where what trained goes, if it is kept."""
        stem = self.file.with_suffix(".safetensors").name
        return RUNS / self.config.sweep / self.head["cell"]["task"] / stem


def plan(config: DictConfig) -> Plan:
    """What a config asks for, not run yet. Raises ConfigError naming a wrong key."""
    cell = build_cell(config)
    start = None if cell.start is None else _plan_start(config, cell.start)
    identity = {"model": cell.model.identity(), "data": cell.task.identity(cell.data)}
    resolved = portable(config)
    hash8 = _hash(cell, resolved, identity, start)
    head = {"hash": hash8, "cell": dict(config.cell), "config": resolved}
    return Plan(config, cell, identity, head, command(), start)


def _plan_start(config: DictConfig, task: str) -> Plan:
    part = config.cell.task  # now, as it is read from Hydra's config, which is the other's below
    with another(task) as other:
        known = build_cell(other).task.members
        if part in known:
            return plan(other)
    holds = f"holds {', '.join(known)}, not {part}" if known else "is one data set"
    raise ConfigError(
        f"start={task}: {task} {holds}; name a task whose parts have {part} among them "
        "(conf/task/multi_*.yaml), or null"
    )


def run(
    plan: Plan, as_start: bool = False, company: Any = None, report: Report | None = None
) -> None:
    """Trains a planned cell, unless it is done; one that others start from keeps its weights.

    `company` is with whom it shares its passes, None: nobody.
    `as_start`: waits for a process that is at it, and trains anew where the weights are gone.
    `report` is told each evaluation, and may end the cell there by raising Pruned.
    """
    config = plan.config
    with records.claimed(plan.file, wait=as_start):
        done = records.finished(plan.file) and not config.rerun
        if done and (plan.weights.exists() or not as_start):
            LOGGER.info("%s: done before, skipped (rerun=true trains it again)", plan.name)
            return
        records.reserve(plan.file)
        with records.announced(plan.file, plan.head), _recorded(plan) as record:
            model = _train(plan, record, company, report)
        scores = next(iter(record["scores"].values()))
        LOGGER.info("%s: %s", plan.name, ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
        if config.save or plan.cell.task.members:
            _save(model, plan)


def _started(plan: Plan, record: dict[str, Any]) -> Any:
    """What the cell starts from, trained by now, or None. Raises StartError saying why not."""
    if plan.start is None:
        return None
    from ptbench.start import Start, StartError

    began, other = time.perf_counter(), plan.start
    name = other.head["cell"]["task"]
    try:
        run(other, as_start=True)
    except PtbenchError as error:
        raise StartError(f"start={name}, {other.name}: {error}") from error
    record["waited"] = time.perf_counter() - began
    part, task = plan.head["cell"]["task"], other.cell.task
    start = Start(name, task, part, other.weights, other.head["hash"], other.identity["model"])
    record["start"] = start.describe()
    return start


def _hash(cell: Any, config: dict[str, Any], identity: dict[str, str], start: Plan | None) -> str:
    from ptbench.build import deciding

    parts = {key: deciding(config[key], getattr(cell, field)) for key, field in DECIDING.items()}
    rows = deciding({name: getattr(cell.data, name) for name in ROWS}, cell.data)
    whole = {**parts, "seed": cell.seed, "data": rows, "identity": identity}
    whole |= {} if start is None else {"start": start.head["hash"]}
    return records.digest(whole)


def build_cell(config: DictConfig) -> Any:
    """The cell's parts as checked dataclasses. Raises ConfigError naming a wrong key."""
    if type(config.seed) is not int or config.seed < 0:
        raise ConfigError(f"seed={config.seed!r} is not a whole number of 0 or more")
    if not isinstance(config.start, str | None):
        raise ConfigError(f"start={config.start!r} is not the name of a task; name one, or null")
    from ptbench.build import build
    from ptbench.cell import Cell
    from ptbench.data import Data
    from ptbench.method import Method
    from ptbench.models import Model
    from ptbench.optimisation import Training
    from ptbench.protocol import Protocol
    from ptbench.task import Task

    return Cell(
        build(config.task, "task", Task),
        build(config.model, "model", Model),
        build(config.method, "method", Method),
        build(config.train, "train", Training),
        build(config.protocol, "protocol", Protocol),
        build(config.data, "data", Data),
        config.seed,
        config.start,
    )


def _train(plan: Plan, record: dict[str, Any], company: Any, report: Report | None) -> Any:
    """Fills the record from a training run; gives the trained model."""
    from ptbench.build import build
    from ptbench.cell import train
    from ptbench.company import ALONE
    from ptbench.tracking import RunInfo, Tracking
    from ptbench.watch import Watch

    start = _started(plan, record)
    tracking = build(plan.config.tracking, "tracking", Tracking)
    names = record["cell"]
    tags = tuple(str(names[key]) for key in ("task", "model", "method"))
    info = RunInfo(record["hash"], plan.name, plan.config.sweep, tags, record["config"])
    with tracking.start(info) as log:
        with Watch(plan.name, log, report, quiet=company is not None) as watch:
            result = train(plan.cell, watch.begin, start, company or ALONE)
        record |= result.facts
        split, scores = next(iter(record["scores"].items()))
        log.summary(**{f"{split}/{k}": v for k, v in scores.items()}, **record["cost"])
    if plan.config.predictions:
        try:
            predictions.write(plan.predictions, result.predictions)
        except predictions.PredictionsError as error:
            LOGGER.warning("%s", error)  # the result is worth more than what tests need beside it
    return result.model


def _save(model: Any, plan: Plan) -> None:
    """Keeps what trained; of a cell that others start from the prompt's encoder as it is."""
    from ptbench import checkpoints

    folded = not plan.cell.task.members
    config, backbone = plan.head["config"], plan.identity["model"]
    checkpoints.save(model, plan.weights, config, backbone, folded)
    LOGGER.info("what trained is in %s", plan.weights)


@contextmanager
def _recorded(plan: Plan) -> Iterator[dict[str, Any]]:
    """Writes the record whatever happens: what went wrong is recorded, then raised."""
    record: dict[str, Any] = {**plan.head, "status": "done", "error": None}
    file = plan.file
    origin = provenance(plan.command, plan.identity)  # before training, as the code may change
    started = time.perf_counter()
    try:
        yield record
    except BaseException as error:
        record["status"] = records.status_of(error)
        if isinstance(error, Pruned):
            record["curve"] = error.curve
        short = isinstance(error, PtbenchError | KeyboardInterrupt)
        said = str(error) or type(error).__name__
        record["error"] = nameless(said if short else traceback.format_exc(), plan.config.data.root)
        LOGGER.error("%s: %s: %s", plan.name, record["status"], said)
        raise
    finally:
        seconds = time.perf_counter() - started - record.pop("waited", 0.0)
        record["provenance"] = {
            **origin,
            **record.pop("commits", {}),
            "device": record.pop("device", None),
            "seconds": seconds,
        }
        if record["status"] != "done" and records.finished(file):
            records.release(file)  # a rerun that fails leaves the result that was there
        else:
            records.write(file, record)
