"""One cell: a task, a model, a method and a seed, from its parts to its scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed

from ptbench import cost
from ptbench.company import ALONE, Company
from ptbench.data import Data, Row
from ptbench.errors import DataError
from ptbench.kinds import Features, Kind
from ptbench.method import Adapted, Method
from ptbench.models import Model
from ptbench.optimisation import Training
from ptbench.paired import left_out
from ptbench.predictions import Predictions
from ptbench.protocol import Protocol
from ptbench.recent import Recent
from ptbench.records import digest
from ptbench.start import Start
from ptbench.task import Splits, Task
from ptbench.templates import Encoder
from ptbench.train import Job, Observer, Part

Parts = tuple[Part, Part, Part]
SPLITS: Recent[Splits] = Recent(lambda made: len(made.train + made.select + made.report))
ENCODED: Recent[Parts] = Recent(lambda made: sum(len(part.features) for part in made))


@dataclass(frozen=True)
class Cell:
    """All that decides a result."""

    task: Task
    model: Model
    method: Method
    training: Training
    protocol: Protocol
    data: Data
    seed: int
    start: str | None = None  # a task of several data sets whose prompt and head it goes on from


@dataclass(frozen=True)
class Result:
    """What a trained cell gives its record, its answers to the reported split, and the model."""

    facts: dict[str, Any]
    predictions: Predictions
    model: Adapted


def train(
    cell: Cell,
    observe: Callable[[Job], Observer],
    start: Start | None = None,
    company: Company = ALONE,
) -> Result:
    """Trains and scores one cell, from what was saved where it has a start.

    Raises DataError, BackboneError, StartError or Diverged, each with its remedy.
    """
    source = cell.task, cell.data, cell.protocol, cell.task.identity(cell.data)
    splits = SPLITS.get(source, lambda: cell.task.splits(cell.data, cell.protocol))
    if cell.training.threads is not None:
        torch.set_num_threads(cell.training.threads)
    AcceleratorState._reset_state()  # accelerate keeps the last cell's precision in the process
    accelerator = Accelerator(mixed_precision=cell.training.precision.value)
    set_seed(cell.seed)
    memory = cost.PeakMemory(accelerator.device)
    memory.start()
    backbone = company.load(cell.model)
    backbone.use_compiler(cell.training.compile)
    model = cell.method.adapt(backbone, cell.task.asks.fitted(backbone))
    if start is not None:
        start.enter(model, cell.method)
    model = model.to(accelerator.device)
    encoder = Encoder(model.backbone.tokenizer, cell.task.max_length, model.backbone.two_stacks)
    reads = source, cell.model, cell.model.identity(), model.kind
    parts = ENCODED.get(reads, lambda: encoded(model, encoder, splits))
    model.check_length(max(model.kind.reach(part.features) for part in parts))
    job = Job(model, encoder, parts[0], parts[1], cell.training, cell.seed, accelerator)
    job.observer = observe(job)
    found, told = company.train(job, replace(job.asked, features=parts[2].features))
    predictions = Predictions(found, parts[2].references)
    facts = _facts(cell, job, splits, parts, predictions, memory)
    return Result(facts | told, predictions, model)


def encoded(model: Adapted, encoder: Encoder, splits: Splits) -> Parts:
    """The rows to train on, to select on and to report, as the model reads them."""
    template = model.kind.template
    model.kind.check_room(encoder)

    def part(rows: list[Row]) -> Part:
        kept = [row for row in rows if model.kind.fits(row, encoder)]
        if not kept:
            raise DataError(
                f"none of {len(rows)} rows can be answered from this backbone's vocabulary; choose "
                "another task or model"
            )
        features: list[Features] = [model.kind.encode(row, encoder, template) for row in kept]
        left_out = len(rows) - len(kept)
        return Part(features, [model.kind.reference(row) for row in kept], left_out)

    return part(splits.train), part(splits.select), part(splits.report)


def _facts(
    cell: Cell,
    job: Job,
    splits: Splits,
    parts: Parts,
    predictions: Predictions,
    memory: cost.PeakMemory,
) -> dict[str, Any]:
    kind, best, references = job.model.kind, job.best, predictions.references
    named = dict(zip(("train", "select", "report"), parts, strict=True))
    assert best is not None  # fit ends after an evaluation
    return {
        "adaptation": job.model.describe(cell.method.name),
        "scores": {splits.report_name: kind.score(*predictions)},
        "floor": {splits.report_name: kind.floor(references)},
        "random_floor": {splits.report_name: kind.random_floor(references)},
        "jackknife": _jackknife(kind, predictions),
        "selection": {
            "split": splits.select_name,
            "metric": kind.main_metric,
            "step": best.step,
            "score": best.score,
        },
        "rows": {name: len(part.features) for name, part in named.items()},
        "left_out": {name: part.left_out for name, part in named.items()},
        "curve": [vars(point) for point in job.curve],
        "cost": {
            **cost.parameters(job.model),
            "train_seconds": job.train_seconds,
            "seconds_per_step": job.train_seconds / job.step,
            "peak_memory_bytes": memory.bytes(),
        },
        "device": str(job.accelerator.device),
        "commits": {
            "model_commit": getattr(job.model.backbone.model.config, "_commit_hash", None),
            "data_commit": cell.task.commit(cell.data),
        },
    }


def _jackknife(kind: Kind, predictions: Predictions) -> dict[str, Any]:
    """How the main score hangs on the examples, by which tables test differences.

    `references` tells one set of examples from another.
    """
    return {
        "references": digest({"references": predictions.references}),
        "scores": left_out(kind.main_score, *predictions),
    }
