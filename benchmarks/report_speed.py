"""How long the table and the report of a large sweep take, on made-up records, and the page's size.

python benchmarks/report_speed.py [--records 5000]
"""

import argparse
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import keep

from ptbench import records, report, tables
from ptbench.sweeps import Sweep
from ptbench.upgrades import VERSION

TASKS = tuple(f"task{number}" for number in range(10))
MODELS = tuple(f"model{number}" for number in range(5))
METHODS = tuple(f"method{number}" for number in range(10))
EPOCHS, GROUPS = 20, 50


def made_up(seeds: int) -> Iterator[dict[str, Any]]:
    """A record a cell, in the form and about the size of real ones; one in a hundred failed."""
    chance = random.Random(0)
    config = {f"setting{number}": number / 10 for number in range(15)}
    for task, model, method, seed in product(TASKS, MODELS, METHODS, range(seeds)):
        cell = {"task": task, "model": model, "method": method, "seed": seed}
        parts = {
            "train": config,
            "data": config,
            **{key: {"_target_": cell[key], **config} for key in ("task", "model", "method")},
        }
        record: dict[str, Any] = {
            "hash": hashlib.sha256(repr(cell).encode()).hexdigest()[:8],
            "cell": cell,
            "config": {"sweep": "large", "seed": seed, "protocol": {"name": "fair"}, **parts},
            "status": "done",
            "error": None,
            "provenance": {
                "commit": "c0ffee" * 6,
                "dirty": False,
                "command": f"ptbench run sweeps=large task={task} model={model} seed={seed}",
                "packages": {f"package{number}": "1.2.3" for number in range(6)},
                "model": f"sha256:{model}",
                "data": f"sha256:{task}",
                "time": f"2026-01-01T00:00:{seed:02}",
                "device": "cpu",
                "seconds": 100 * chance.random(),
            },
        }
        if chance.random() < 0.01:
            yield {**record, "status": "failed", "error": "Traceback\n" * 20 + "out of luck"}
        else:
            yield {**record, **results(method, chance)}


def results(method: str, chance: random.Random) -> dict[str, Any]:
    """What a finished record has beside an unfinished one."""
    scores = [chance.uniform(0.6, 0.9) for _ in range(EPOCHS)]
    numbers = {"train": 2000, "select": 500, "report": 800}
    parameters = 1000 * (1 + METHODS.index(method))
    return {
        "adaptation": {
            "title": method,
            **dict.fromkeys(("prompt", "encoder", "head", "backbone"), "-"),
        },
        "scores": {"test": {"accuracy": scores[-1]}},
        "floor": {"test": {"accuracy": 0.5}},
        "random_floor": {"test": {"accuracy": 0.4}},
        "jackknife": {
            "references": "0" * 8,
            "scores": [scores[-1] + chance.gauss(0, 1e-3) for _ in range(GROUPS)],
        },
        "selection": {
            "split": "held out",
            "metric": "accuracy",
            "step": 100 * EPOCHS,
            "score": scores[-1],
        },
        "rows": numbers,
        "left_out": dict.fromkeys(numbers, 0),
        "curve": [
            {"step": 100 * epoch, "epoch": float(epoch), "loss": 1 / epoch, "score": value}
            for epoch, value in enumerate(scores, 1)
        ],
        "cost": {
            "trainable_parameters": parameters,
            "stored_parameters": parameters,
            "total_parameters": 1_000_000,
            "train_seconds": 100 * chance.random(),
            "seconds_per_step": chance.random(),
            "peak_memory_bytes": 1_000_000_000,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    settings = parser.parse_args()
    seeds = settings.records // (len(TASKS) * len(MODELS) * len(METHODS))
    axes = {
        "task": TASKS,
        "model": MODELS,
        "method": METHODS,
        "seed": tuple(map(str, range(seeds))),
    }
    sweep = Sweep("large", "Made-up records", axes)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for record in made_up(seeds):
            file = records.path_of(sweep.name, record["cell"], record["hash"], folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            records.write(file, {"version": VERSION, **record})
        steps: dict[str, Callable[[], Any]] = {
            "read the records": lambda: records.load(sweep.name, folder),
            "table": lambda: tables.write(tables.table(stored, sweep), folder),
            "report": lambda: report.write(stored, sweep, folder),
        }
        seconds = {}
        stored: list[Any] = []
        for step, work in steps.items():
            marks = time.perf_counter(), time.process_time()
            made = work()
            stored = stored or made
            wall, busy = time.perf_counter() - marks[0], time.process_time() - marks[1]
            seconds[step] = {"wall": round(wall, 2), "processor": round(busy, 2)}
        size = made.stat().st_size
    results = {
        "records": len(stored),
        "seconds": seconds,
        "megabytes of the page": round(size / 1e6, 2),
    }
    keep("report_speed", "python benchmarks/report_speed.py", vars(settings), results)


if __name__ == "__main__":
    main()
