"""Cells run in this process, or by the command in another, with records in the test's folder."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from ptbench import records, run
from ptbench.paths import CONF
from ptbench.run import build_cell, main

Sabotage = Callable[[Path], None]
CONTEXT = multiprocessing.get_context("forkserver")  # a process costs 0.1 s, a new Python 8 s
CONTEXT.set_forkserver_preload(["ptbench.cell", "tests.runs"])
PATIENCE = 120  # seconds, for what takes one on an idle machine
CELL = ("model=tiny", "task=sst2", "method=ptuning_v2", "sweep=bench", "train.epochs=1")


def composed(*overrides: str) -> DictConfig:
    """The config of one cell as `ptbench run` would hand it to `main`."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(deepcopy(config))
    with read_write(config), open_dict(config):
        del config["hydra"]
    return config


def built(*overrides: str) -> Any:
    """The cell's parts, checked."""
    return build_cell(composed(*overrides))


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """A split in the form of local data."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def reviews(rows: int) -> list[dict[str, Any]]:
    """Rows in the form of SST-2."""
    words = ("dull", "fine")
    return [{"sentence": f"a {words[n % 2]} film {n}", "label": n % 2} for n in range(rows)]


class Bench:
    """A folder with a little local SST-2 and room for records."""

    def __init__(self, folder: Path):
        self.folder, self.data = folder, folder / "data"
        self.cell = (*CELL, f"data.root={self.data}")
        write_rows(self.data / "sst2" / "train.jsonl", reviews(20))
        write_rows(self.data / "sst2" / "validation.jsonl", reviews(6))

    def run(self, *overrides: str) -> dict[str, Any]:
        """Runs one cell in this process; its record."""
        with redirected(self.folder):
            main(composed(*self.cell, *overrides))
        return self.newest()

    def files(self, pattern: str = "*.json") -> list[Path]:
        """The record files there are."""
        return sorted((self.folder / "records").rglob(pattern))

    def newest(self) -> dict[str, Any]:
        """The record written last."""
        return records.read(max(self.files(), key=lambda file: file.stat().st_mtime_ns))

    def records(self) -> list[dict[str, Any]]:
        return [records.read(file) for file in self.files()]

    def hashes(self) -> set[str]:
        return {record["hash"] for record in self.records()}

    def start(self, *arguments: str, sabotage: Sabotage | None = None) -> ForkServerProcess:
        """Starts `ptbench run` on the cell, with more arguments, in another process."""
        flags = [argument for argument in arguments if argument.startswith("-")]
        line = ("run", *flags, *self.cell, *(a for a in arguments if a not in flags))
        process = CONTEXT.Process(target=_command, args=(self.folder, line, sabotage))
        process.start()
        return process

    def command(self, *arguments: str, sabotage: Sabotage | None = None) -> int:
        """Runs `ptbench run` in another process to its end; the exit status, -9 when killed."""
        process = self.start(*arguments, sabotage=sabotage)
        process.join(PATIENCE)
        assert process.exitcode is not None, self.log()
        return process.exitcode

    def log(self) -> str:
        """What all commands so far have printed."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def wait_for(self, name: str) -> None:
        """Waits for a file that a sabotage makes."""
        for _ in range(20 * PATIENCE):
            if (self.folder / name).exists():
                return
            time.sleep(0.05)
        raise TimeoutError(f"no {name}: {self.log()}")


@contextmanager
def redirected(folder: Path) -> Iterator[None]:
    """Records and locks go below the folder."""
    path_of = partial(records.path_of, folder=folder / "records")
    with (
        mock.patch.object(records, "path_of", path_of),
        mock.patch.object(records, "RUNS", folder / "runs"),
        mock.patch.object(run, "RUNS", folder / "runs"),
        mock.patch.object(run, "PREDICTIONS", folder / "predictions"),
    ):
        yield


def _command(folder: Path, line: tuple[str, ...], sabotage: Sabotage | None) -> None:
    from ptbench import cli

    # a shell that starts the tests in its background has children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    runs = folder / "runs"
    sys.argv = ["ptbench", *line, f"hydra.run.dir={runs}", f"hydra.sweep.dir={runs}"]
    with redirected(folder):
        if sabotage is not None:
            sabotage(folder)
        cli.main()


def stall(folder: Path) -> None:
    """The first optimiser step never ends."""
    from ptbench.train import Job

    def update(job: Job) -> None:
        (folder / "stalled").touch()
        time.sleep(PATIENCE)

    Job.update = update


def die_half_written(folder: Path) -> None:
    """Killed when half a record is on the disk."""

    def fsync(descriptor: int) -> None:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync


def die_before_replace(folder: Path) -> None:
    """Killed when the record is written, but not in its place."""
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def meet(folder: Path) -> None:
    """Two processes wait for each other, so that they begin together."""
    (folder / f"here-{os.getpid()}").touch()
    while len(list(folder.glob("here-*"))) < 2:
        time.sleep(0.01)


def rerun_failed(folder: Path) -> None:
    """The command becomes `ptbench rerun bench --failed`, on the folder's own records."""
    from ptbench import planning, sweeps

    planning.RECORDS = folder / "records"
    records.load = partial(records.load, folder=folder / "records")
    sweeps.find = lambda _: None
    kept = [word for word in sys.argv if word.startswith(("data.root=", "hydra."))]
    sys.argv[1:] = ["rerun", "bench", "--failed", *kept]
