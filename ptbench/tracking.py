"""Where the curves of a run go: wandb, or nowhere. The record is the truth, this a view of it."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from wandb import Run

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told of one cell: its identity, its place in a sweep and its settings."""

    hash: str
    name: str
    sweep: str
    tags: tuple[str, ...]
    config: dict[str, Any]


@runtime_checkable
class Log(Protocol):
    """What a run tells its tracker while it goes on."""

    def log(self, step: int, **values: float) -> None:
        """Add a point to the curve of each value; steps must not go down."""
        ...

    def summary(self, **values: Any) -> None:
        """State what holds of the run as a whole."""
        ...


class Tracking(ABC):
    """Gives each cell its log, as in `with tracking.start(info) as log`."""

    @abstractmethod
    def start(self, run: RunInfo) -> AbstractContextManager[Log]:
        """The log of one cell, ended as failed when the body raises."""


class NoLog:
    """A log that keeps nothing."""

    def log(self, step: int, **values: float) -> None:
        """Ignore a point."""

    def summary(self, **values: Any) -> None:
        """Ignore a statement."""


@dataclass(frozen=True)
class NoTracking(Tracking):
    """Nothing is tracked."""

    def start(self, run: RunInfo) -> AbstractContextManager[Log]:
        """A log that keeps nothing."""
        return nullcontext(NoLog())


class Mode(Enum):
    """Where wandb sends its data: to the server, to the disk for a later `wandb sync`, nowhere."""

    online = "online"
    offline = "offline"
    disabled = "disabled"


class WandbLog:
    """The log of one wandb run, which falls silent, after one warning, when wandb fails."""

    def __init__(self, run: "Run"):
        self._run, self._broken = run, False

    def __enter__(self) -> "WandbLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        exit_code = 0 if kind is None else 1
        self._try("finish", lambda: self._run.finish(exit_code=exit_code))

    def log(self, step: int, **values: float) -> None:
        """Add a point to the curve of each value; steps must not go down."""
        if not self._broken:
            self._try("log", lambda: self._run.log(values, step=step))

    def summary(self, **values: Any) -> None:
        """State what holds of the run as a whole."""
        if not self._broken:
            self._try("keep the summary", lambda: self._run.summary.update(values))

    def _try(self, action: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # no trouble of a view may cost a training run
            if not self._broken:
                _warn(action, error)
            self._broken = True


@dataclass(frozen=True)
class Wandb(Tracking):
    """One wandb run per cell, whose id is the cell's hash, so that a rerun continues it."""

    project: str
    entity: str | None
    mode: Mode
    folder: Path
    timeout: float

    def start(self, run: RunInfo) -> AbstractContextManager[Log]:
        """The wandb run of one cell, or a log that keeps nothing where wandb cannot start."""
        try:
            return WandbLog(self._init(run))
        except Exception as error:  # no trouble of a view may cost a training run
            _warn("start", error)
            return nullcontext(NoLog())

    def _init(self, run: RunInfo) -> "Run":
        import wandb  # late: a second of import that only this choice should cost

        settings = wandb.Settings(
            init_timeout=self.timeout,
            finish_timeout=self.timeout,
            silent=True,
            quiet=True,
            console="off",
        )
        wandb.setup(settings)
        # wandb.init would ask for a key on a terminal, and wait, with its question silenced.
        if self.mode is Mode.online and not wandb.login(prompt=False, verify=False):
            raise RuntimeError("no login found (`wandb login` makes one)")
        self.folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode.value,
            dir=self.folder,
            id=run.hash,
            name=run.name,
            group=run.sweep,
            tags=run.tags,
            config=run.config,
            resume="allow",
            # Cells that train fused have their runs open at once; the default would log all of
            # them, and every later job of this process, into the first.
            reinit="create_new",
            settings=settings,
        )


def _warn(action: str, error: Exception) -> None:
    LOGGER.warning(
        "wandb could not %s (%s: %s); this run goes on untracked. "
        "Use tracking.mode=offline to keep its curves on disk, or tracking=none for no wandb.",
        action,
        type(error).__name__,
        " ".join(str(error).split()),
    )
