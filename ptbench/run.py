"""`ptbench run`: Hydra composes cells, each becomes one record."""

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from ptbench import records
from ptbench.errors import ConfigError, Diverged, PtbenchError
from ptbench.paths import CONF, ROOT, RUNS
from ptbench.provenance import nameless, portable, provenance

LOGGER = logging.getLogger(__name__)
# which config nodes decide a result, and the cell's parts that are built from them
DECIDING = {name: name for name in ("method", "task", "model", "protocol")} | {"train": "training"}

OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> None:
    """Runs one cell, unless its record is there or another process is at it."""
    names = dict(config.cell)
    name = _name(names)
    from ptbench.cell import Cell  # late: torch and transformers take seconds

    cell = build_cell(config)
    assert isinstance(cell, Cell)
    identity = {"model": cell.model.identity(), "data": cell.task.identity(cell.data)}
    resolved = portable(config)
    hash8 = _hash(cell, resolved, identity)
    file = records.path_of(config.sweep, names, hash8)
    try:
        with records.claimed(file):
            if records.finished(file) and not config.rerun:
                LOGGER.info("%s: done before, skipped (rerun=true trains it again)", name)
                return
            records.reserve(file)
            head = {"hash": hash8, "cell": names, "config": resolved}
            with _recorded(file, head, identity, config.data.root) as record:
                model = _train(cell, config, name, record)
            scores = next(iter(record["scores"].values()))
            LOGGER.info("%s: %s", name, ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
            if config.save:
                place = RUNS / config.sweep / names["task"] / file.name
                _save(model, place, resolved, identity["model"])
    except records.Busy as busy:
        LOGGER.info("%s; skipped", busy)


def _hash(cell: Any, config: dict[str, Any], identity: dict[str, str]) -> str:
    from ptbench.build import deciding

    parts = {key: deciding(config[key], getattr(cell, field)) for key, field in DECIDING.items()}
    rows = deciding({n: getattr(cell.data, n) for n in ("train_rows", "train_split")}, cell.data)
    whole = {**parts, "seed": cell.seed, "data": rows, "identity": identity}
    return records.digest(whole)


def _name(cell: dict[str, Any]) -> str:
    return f"{cell['task']} {cell['model']} {cell['method']} seed {cell['seed']}"


def build_cell(config: DictConfig) -> Any:
    """The cell's parts as checked dataclasses. Raises ConfigError naming a wrong key."""
    if type(config.seed) is not int or config.seed < 0:
        raise ConfigError(f"seed={config.seed!r} is not a whole number of 0 or more")
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
    )


def _train(cell: Any, config: DictConfig, name: str, record: dict[str, Any]) -> Any:
    """Fills the record from a training run; gives the trained model."""
    from ptbench.build import build
    from ptbench.cell import train
    from ptbench.tracking import RunInfo, Tracking
    from ptbench.watch import Watch

    tracking = build(config.tracking, "tracking", Tracking)
    names = record["cell"]
    tags = tuple(str(names[key]) for key in ("task", "model", "method"))
    info = RunInfo(record["hash"], name, config.sweep, tags, record["config"])
    with tracking.start(info) as log:
        with Watch(name, log) as watch:
            result = train(cell, watch.begin)
        record |= result.facts
        split, scores = next(iter(record["scores"].items()))
        log.summary(**{f"{split}/{k}": v for k, v in scores.items()}, **record["cost"])
    return result.model


def _save(model: Any, record: Path, config: dict[str, Any], backbone: str) -> None:
    from ptbench import checkpoints

    file = record.with_suffix(".safetensors")
    checkpoints.save(model, file, config, backbone)
    LOGGER.info("what trained is in %s", file)


@contextmanager
def _recorded(
    file: Path, head: dict[str, Any], identity: dict[str, str], root: str | None
) -> Iterator[dict[str, Any]]:
    """Writes the record whatever happens: what went wrong is recorded, then raised."""
    record: dict[str, Any] = {**head, "status": "done", "error": None}
    origin = provenance(identity)  # now, as the checkout may change while the cell trains
    started = time.perf_counter()
    try:
        yield record
    except BaseException as error:
        record["status"] = _status(error)
        short = isinstance(error, PtbenchError | KeyboardInterrupt)
        said = str(error) or type(error).__name__
        record["error"] = nameless(said if short else traceback.format_exc(), root)
        LOGGER.error("%s: %s: %s", _name(record["cell"]), record["status"], said)
        raise
    finally:
        seconds = time.perf_counter() - started
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


def _status(error: BaseException) -> str:
    import torch

    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "oom"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
