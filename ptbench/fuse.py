"""Cells that share a frozen backbone train in one pass, and each leaves its own record."""

import logging
from collections.abc import Iterable, Sequence
from threading import Event, Thread
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from torch import Tensor

from ptbench import records
from ptbench.answers import Asked
from ptbench.backbones import Backbone
from ptbench.errors import ConfigError, PtbenchError
from ptbench.models import Model
from ptbench.run import Plan, run
from ptbench.train import Job, answered, fit

LOGGER = logging.getLogger(__name__)
MOST = 32  # cells whose prompts and optimisers are in memory at once


class FuseError(PtbenchError):
    """Cells of a fused sweep that did not finish; each has said why."""


class Shared:
    """A backbone for cells of every seed, or one a seed where loading draws random weights.

    `width` is how many of its cells pass at once, None: as many as is fastest, which is measured
    once for each number of cells.
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width
        self.measured: dict[int, int | None] = {}
        self.loaded: list[tuple[Tensor, Tensor, Backbone]] = []  # torch's state before and after

    def load(self, model: Model) -> Backbone:
        """What the model would load now, and torch's state as that would leave it."""
        now = torch.get_rng_state()
        for before, after, backbone in self.loaded:
            if before.equal(after):  # nothing was drawn
                return backbone
            if before.equal(now):
                torch.set_rng_state(after)
                return backbone
        backbone = model.load()
        self.loaded.append((now, torch.get_rng_state(), backbone))
        return backbone

    def forget_drawn(self) -> None:
        """Lets go of what only cells of the same seed could share."""
        self.loaded = [one for one in self.loaded if one[0].equal(one[1])]


class Member(Thread):
    """One cell: as `run` does it up to its training and from there on, waiting in between."""

    def __init__(self, plan: Plan, shared: Shared):
        super().__init__(name=plan.name, daemon=True)
        self.plan, self.shared = plan, shared
        self.waits, self.turn = Event(), Event()  # for the pass that all share; to go on
        self.job: Job | None = None
        self.report: Asked | None = None
        self.answers: list[Any] = []
        self.stopped: BaseException | None = None
        self.error: BaseException | None = None
        self.others: list[str] = []

    def run(self) -> None:
        """What the thread does."""
        try:
            run(self.plan, company=self)
        except records.Busy as busy:
            LOGGER.info("%s; skipped", busy)
        except BaseException as error:
            self.error = error
        finally:
            self.waits.set()

    def load(self, model: Model) -> Backbone:
        """The backbone of the cell that trains."""
        return self.shared.load(model)

    def train(self, job: Job, report: Asked) -> tuple[list[Any], dict[str, Any]]:
        """Trains the cell's job beside the others', and says beside which."""
        if job.model.frozen is self.plan.cell.method.trains_backbone:
            raise FuseError(
                f"{self.plan.name}: trains_backbone of the method is not what its model does; mend "
                "the method, since cells that train the backbone cannot share it"
            )
        self.job, self.report = job, report
        self.waits.set()
        self.turn.wait()
        if error := self.stopped or job.failure:
            raise error
        fused = {"jobs_per_pass": job.width, "with": self.others}
        return self.answers, {"fused": fused} if self.others else {}

    def go_on(self, stopped: BaseException | None) -> None:
        """Lets the cell finish, and waits for it."""
        self.stopped = stopped
        self.turn.set()
        self.join()


def train_together(plans: Sequence[Plan], shared: Shared) -> list[BaseException]:
    """Trains planned cells side by side on what they share.

    Gives what went wrong, cell by cell; each record says it too.
    """
    members = [Member(plan, shared) for plan in plans]
    for member in members:
        member.start()
        member.waits.wait()
    companies: dict[int, list[Member]] = {}
    for member in members:
        if member.job is not None:
            companies.setdefault(id(member.job.model.backbone), []).append(member)
    for company in companies.values():
        _pass(company, shared)
    shared.forget_drawn()
    return [member.error for member in members if member.error is not None]


def _pass(company: Sequence[Member], shared: Shared) -> None:
    members = {member.job: member for member in company if member.job is not None}
    jobs = list(members)
    hashes = [member.plan.head["hash"] for member in company]
    if (threads := jobs[0].training.threads) is not None:
        torch.set_num_threads(threads)  # of this thread
    stopped: BaseException | None = None
    jobs[0].draws.resume()  # a single one draws from torch itself
    try:
        width = shared.width or shared.measured.get(len(jobs))
        width = shared.measured[len(jobs)] = fit(jobs, jobs[0].accelerator, width)
        reports = {
            job: one.report for job, one in members.items() if not job.failure and one.report
        }
        for job, found in answered(reports, width):
            members[job].answers = found
    except BaseException as error:
        stopped = error
    for member in company:
        member.others = [one for one in hashes if one != member.plan.head["hash"]]
        member.go_on(stopped)
    if isinstance(stopped, KeyboardInterrupt):
        raise stopped


def companies(plans: Iterable[Plan]) -> list[list[Plan]]:
    """Groups of cells that can share their passes, and each other cell by itself."""
    groups: dict[Any, list[Plan]] = {}
    for number, plan in enumerate(plans):
        cell = plan.cell
        key: Any = number
        if not (cell.method.trains_backbone or cell.task.members):
            training, dropout = cell.training, cell.method.backbone_dropout
            passes = training.precision, training.compile, training.threads, dropout
            key = (cell.model, *passes, cell.task.asks.writes)
        groups.setdefault(key, []).append(plan)
    return list(groups.values())


class Queue:
    """The cells of a multirun, kept until all are known."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.width: int | None = None
        self.most = 1

    def add(self, plan: Plan) -> None:
        """Raises ConfigError where another process would train the cell."""
        asked = plan.config.fuse
        if asked != "auto" and (type(asked) is not int or asked < 1):
            raise ConfigError(f"fuse={asked}: a number of cells, auto, or off")
        if not HydraConfig.get().launcher._target_.endswith("BasicLauncher"):
            raise ConfigError(f"fuse={asked} trains in one process; add hydra/launcher=basic")
        self.width = None if asked == "auto" else asked
        self.most = MOST if self.width is None else self.width
        if records.finished(plan.file) and not plan.config.rerun:
            LOGGER.info("%s: done before, skipped (rerun=true trains it again)", plan.name)
        else:
            self.plans.append(plan)

    def train(self) -> None:
        """Trains what was added. Raises FuseError where a cell failed."""
        plans, self.plans = self.plans, []
        failed: list[BaseException] = []
        for group in companies(plans):
            shared = Shared(self.width)
            for first in range(0, len(group), self.most):
                failed += train_together(group[first : first + self.most], shared)
        if failed:
            raise FuseError(f"{len(failed)} of {len(plans)} cells failed: {failed[0]}")


QUEUE = Queue()
