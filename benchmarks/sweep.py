"""What one multirun saves over a process for each cell: 100 small cells, up to the last record.

The cells are two methods x five rates x ten seeds on a packaged encoder and task, of `--rows`
examples to train on: 32, as many as FewGLUE has. Some cells run in a process each, `--alone` of
them before each multirun and after the last, and their mean stands for the others. A multirun goes
on one core, and on `--workers`. Seconds of the processor stand beside the clock's, as they mean
something on a busy machine too; they say as well where the time goes, in runs of their own.

    python benchmarks/sweep.py [--seeds 10] [--alone 2] [--fuse auto] [--model tiny] [--rows 32]
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Any

from measure import keep

from ptbench import records
from ptbench.paths import RECORDS

PTBENCH = str(Path(sys.executable).with_name("ptbench"))
SWEEP = "benchmark_sweep"
METHODS, RATES = ("prompt_tuning", "ptuning_v2"), ("1e-3", "2e-3", "5e-3", "1e-2", "2e-2")
SMALL = ("task.validation=32", "task.test=32", "train.epochs=2")
COMMON = (f"sweep={SWEEP}", "task=pocket_sentiment", *SMALL, "predictions=false")
Seconds = dict[str, float]


def cells(common: Sequence[str], seeds: int) -> list[tuple[str, ...]]:
    """The arguments of each cell by itself."""
    axes = product(METHODS, RATES, range(seeds))
    return [(*common, f"method={m}", f"train.learning_rate={r}", f"seed={s}") for m, r, s in axes]


def multirun(common: Sequence[str], seeds: int, *how: str) -> tuple[str, ...]:
    """The arguments of all cells at once."""
    axes = {"method": METHODS, "train.learning_rate": RATES, "seed": map(str, range(seeds))}
    return ("-m", *common, *(f"{key}={','.join(values)}" for key, values in axes.items()), *how)


@contextmanager
def finishing(count: int) -> Iterator[None]:
    """A sweep without records at first, with so many finished ones at last, and then without."""
    shutil.rmtree(RECORDS / SWEEP, ignore_errors=True)
    try:
        yield
        found = [record["status"] for record in records.load(SWEEP)]
        assert found == ["done"] * count, found
    finally:
        shutil.rmtree(RECORDS / SWEEP, ignore_errors=True)


def taken(arguments: Sequence[str]) -> Seconds:
    """Of a `ptbench run` in a process of its own."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PTBENCH, "run", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": time.perf_counter() - began, "processor": used}


class Parts:
    """Seconds of the processor by what it was at; the innermost part counts."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.part, self.since = "imports", 0.0

    def enter(self, part: str) -> str:
        """Goes on to a part; the one before."""
        now, before = time.process_time(), self.part
        self.seconds[before] += now - self.since
        self.part, self.since = part, now
        return before

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Counts a function's time as that part's; members of a fused sweep run one at a time."""
        inner = getattr(owner, name)

        @wraps(inner)
        def watched(*arguments: Any, **named: Any) -> Any:
            before = self.enter(part)
            try:
                return inner(*arguments, **named)
            finally:
                self.enter(before)

        setattr(owner, name, watched)


def parts_of(arguments: Sequence[str]) -> Seconds:
    """Where the seconds of a `ptbench run` in this process go."""
    parts = Parts()
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from methods import prompt_tuning, ptuning_v2  # noqa: F401  # else Hydra's part has them
    from ptbench import cell, company, fuse, launch, models, run, train
    from ptbench.task import Task

    parts.watch(ConfigLoaderImpl, "load_configuration", "configs composed")
    parts.watch(run, "plan", "cells planned")
    parts.watch(models.Packaged, "load", "backbone loaded")
    parts.watch(Task, "splits", "rows read")
    parts.watch(cell, "encoded", "rows encoded")
    parts.watch(train, "_fastest", "width measured")
    for owner in (company, fuse):
        parts.watch(owner, "fit", "steps")
    for owner in (company, train):
        parts.watch(owner, "answer", "predictions")
    parts.watch(cell, "_facts", "scores")
    parts.enter("the rest")
    launch.launch(arguments)
    parts.enter("the end")
    return dict(parts.seconds)


def apart(arguments: Sequence[str], count: int) -> Seconds:
    """The parts of a run in a process of its own, for each of its cells."""
    with finishing(count):
        again = [sys.executable, *sys.argv[:1], "--parts", json.dumps(arguments)]
        done = subprocess.run(again, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {part: round(seconds / count, 4) for part, seconds in found.items()}


def measured(runs: Sequence[Sequence[str]], whole: int, count: int | None = None) -> Seconds:
    """Seconds of runs that train `count` cells, one each, and what that makes for the whole."""
    count = len(runs) if count is None else count
    with finishing(count):
        every = [taken(arguments) for arguments in runs]
    scale = whole / count
    return {key: round(scale * sum(one[key] for one in every), 2) for key in every[0]}


def in_turns(
    every: Sequence[Sequence[str]], ways: Mapping[str, Sequence[str]], alone: int
) -> tuple[dict[str, Seconds], list[Seconds]]:
    """Seconds of all cells by each way, and by some in a process each, before and after each."""
    count, times = len(every), len(ways) + 1
    number = times * alone
    some = [every[count * n // number] for n in range(number)]  # of both methods, in each turn
    turns, seconds = [measured(some[0::times], count)], {}
    for turn, (way, arguments) in enumerate(ways.items(), 1):
        seconds[way] = measured([arguments], count, count)
        turns.append(measured(some[turn::times], count))
        print(seconds, turns, flush=True)
    mean = {key: round(statistics.mean(one[key] for one in turns), 2) for key in turns[0]}
    return {"a process a cell": mean, **seconds}, turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", help="measure the parts of these arguments in this process")
    parser.add_argument("--seeds", type=int, default=10, help="a tenth of the cells")
    parser.add_argument("--alone", type=int, default=2, help="cells in a process each, at a time")
    parser.add_argument("--fuse", default="auto")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    settings = parser.parse_args()
    if settings.parts:
        print(json.dumps(parts_of(json.loads(settings.parts))))
        return
    common = (*COMMON, f"model={settings.model}", f"task.train={settings.rows}")
    every = cells(common, settings.seeds)
    workers = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={settings.workers}")
    hows = {
        "multirun, fuse=off": ("fuse=off",),
        f"multirun, fuse={settings.fuse}": (f"fuse={settings.fuse}",),
        f"multirun, {settings.workers} workers": workers,
    }
    ways = {way: multirun(common, settings.seeds, *how) for way, how in hows.items()}
    seconds, turns = in_turns(every, ways, settings.alone)
    first, *others = seconds
    faster = {
        name: {key: round(seconds[first][key] / value, 2) for key, value in seconds[name].items()}
        for name in others
    }
    few = len(cells(common, 1))
    parts = {"a process a cell": apart(every[0], 1)}
    for way, how in hows.items():
        if how is not workers:  # which are processes of their own
            parts[way] = apart(multirun(common, 1, *how), few)
    shown = {key: value for key, value in vars(settings).items() if key != "parts"}
    shown |= {"cells": len(every), "measured in a process each": len(turns) * settings.alone}
    shown |= {"cells of a multirun by part": few}
    results = {
        "seconds of all cells": seconds,
        "a process a cell, in turns": turns,
        "times as fast": faster,
        "processor's seconds a cell by part": parts,
    }
    own = (settings.model, "minilm"), (settings.rows, 32)
    name = "_".join(["sweep", *(str(asked) for asked, usual in own if asked != usual)])
    keep(name, "python benchmarks/sweep.py", shown, results)


if __name__ == "__main__":
    main()
