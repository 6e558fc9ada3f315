"""`ptbench run`: Hydra composes cells, each becomes one record."""

import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ptbench import records
from ptbench.errors import ConfigError, Diverged, PtbenchError
from ptbench.paths import CONF, ROOT

LOGGER = logging.getLogger(__name__)
DECIDING = ("method", "task", "model", "train", "protocol", "seed")

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
    deciding = {key: resolved[key] for key in DECIDING}
    rows = {"train_rows": cell.data.train_rows}
    hash8 = records.digest({**deciding, "data": rows, "identity": identity})
    file = records.path_of(config.sweep, names, hash8)
    try:
        with records.claimed(file):
            if records.finished(file) and not config.rerun:
                LOGGER.info("%s: done before, skipped (rerun=true trains it again)", name)
                return
            records.reserve(file)
            head = {"hash": hash8, "cell": names, "config": resolved}
            with _recorded(file, head, identity, config.data.root) as record:
                _train(cell, config, name, record)
            scores = next(iter(record["scores"].values()))
            LOGGER.info("%s: %s", name, ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    except records.Busy as busy:
        LOGGER.info("%s; skipped", busy)


def _name(cell: dict[str, Any]) -> str:
    return f"{cell['task']} {cell['model']} {cell['method']} seed {cell['seed']}"


def build_cell(config: DictConfig) -> Any:
    """The cell's parts as checked dataclasses. Raises ConfigError naming a wrong key."""
    if type(config.seed) is not int or config.seed < 0:
        raise ConfigError(f"seed={config.seed!r} is not a whole number of 0 or more")
    from ptbench.backbones import Model
    from ptbench.build import build
    from ptbench.cell import Cell
    from ptbench.data import Data
    from ptbench.method import Method
    from ptbench.protocol import Protocol
    from ptbench.task import Task
    from ptbench.train import Training

    return Cell(
        build(config.task, "task", Task),
        build(config.model, "model", Model),
        build(config.method, "method", Method),
        build(config.train, "train", Training),
        build(config.protocol, "protocol", Protocol),
        build(config.data, "data", Data),
        config.seed,
    )


def portable(config: DictConfig) -> dict[str, Any]:
    """The resolved config without what only this machine knows."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    for node in ("hydra", "tracking", "rerun"):
        resolved.pop(node, None)
    if resolved["data"]["root"] is not None:
        resolved["data"]["root"] = "local"
    return _placeless(resolved)


def _placeless(value: Any) -> Any:
    """The value with every absolute path in it replaced by "local"."""
    if isinstance(value, dict):
        return {key: _placeless(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_placeless(inner) for inner in value]
    return "local" if isinstance(value, str) and value.startswith(("/", "~")) else value


def _train(cell: Any, config: DictConfig, name: str, record: dict[str, Any]) -> None:
    from ptbench.build import build
    from ptbench.cell import train
    from ptbench.progress import Progress
    from ptbench.tracking import RunInfo

    tracking: Any = build(config.tracking, "tracking", object)
    names = record["cell"]
    tags = tuple(str(names[key]) for key in ("task", "model", "method"))
    info = RunInfo(record["hash"], name, config.sweep, tags, record["config"])
    with tracking.start(info) as log:
        watch = Watch(name, log, Progress)
        with watch:
            result = train(cell, watch.begin)
        record |= result.facts
        split, scores = next(iter(record["scores"].items()))
        log.summary(**{f"{split}/{k}": v for k, v in scores.items()}, **record["cost"])


class Watch:
    """Passes what a job says on to the progress bar and to tracking."""

    def __init__(self, name: str, log: Any, progress: Any):
        self.name, self.log, self._make, self.bar, self.step = name, log, progress, None, 0

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)

    def begin(self, job: Any) -> "Watch":
        """Starts the bar for the job's steps."""
        self.bar = self._make(job.total_steps, self.name, quiet=not sys.stdout.isatty())
        self.bar.__enter__()
        return self

    def stepped(self, step: int, loss: float) -> None:
        self.bar.advance(step - self.step, loss=loss)
        self.step = step
        self.log.log(step, loss=loss)

    def evaluated(self, point: Any) -> None:
        self.bar.advance(point.step - self.step)
        self.step = point.step
        self.bar.evaluated(round(point.epoch), point.loss, point.score)
        self.log.log(point.step, epoch=point.epoch, score=point.score)


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
        record["error"] = _nameless(said if short else traceback.format_exc(), root)
        LOGGER.error("%s: %s: %s", _name(record["cell"]), record["status"], said)
        raise
    finally:
        seconds = time.perf_counter() - started
        record["provenance"] = {**origin, "device": record.pop("device", None), "seconds": seconds}
        if record["status"] != "done" and records.finished(file):
            records.release(file)  # a rerun that fails leaves the result that was there
        else:
            records.write(file, record)


def _nameless(text: str, root: str | None) -> str:
    """The text without the folders of this machine, which may name its user."""
    folders = {str(ROOT): ".", sys.prefix: "<python>", str(Path.home()): "~"}
    if root is not None and Path(root).is_absolute():
        folders[root] = "<data.root>"
    for folder in sorted((f for f in folders if f != "/"), key=len, reverse=True):
        text = text.replace(folder, folders[folder])
    return text


def _status(error: BaseException) -> str:
    import torch

    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "oom"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def provenance(identity: dict[str, str]) -> dict[str, Any]:
    """Where a record comes from, without naming a machine, a user or a folder."""
    overrides = [
        f"{key}=<folder>" if key.endswith("data.root") or value.startswith(("/", "~")) else whole
        for whole in HydraConfig.get().overrides.task
        for key, _, value in [whole.replace("'", "").replace('"', "").partition("=")]
    ]
    changes = _git("status", "--porcelain", "--", *CODE)
    packages = {d.name: d.version for d in distributions() if d.name in PACKAGES}
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "command": " ".join(["ptbench run", *overrides]),
        "packages": dict(sorted(packages.items())),
        **identity,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


CODE = ("ptbench", "methods", "tasks", "conf", "sweeps")
PACKAGES = {"torch", "transformers", "datasets", "accelerate", "numpy", "tokenizers"}


def _git(*arguments: str) -> str | None:
    """What git says of the checkout; None where there is no git or no checkout."""
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None
