"""How long a table of 5,000 made-up records takes, from files to its texts.

python benchmarks/tables_speed.py            writes benchmarks/results/tables_speed.json
"""

import json
import os
import resource
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ptbench import records, tables

FILE = Path(__file__).parent / "results" / "tables_speed.json"
SOURCE = "real_cpu"  # whose first record lends its form
TASKS, MODELS, METHODS, SEEDS, GROUPS = 10, 5, 10, 10, 20


def main() -> None:
    """Writes the records into a folder, then times a fresh Python that reads and renders them."""
    with TemporaryDirectory() as folder:
        count = write(Path(folder))
        began = time.perf_counter()
        inner = subprocess.run(
            [sys.executable, __file__, folder], capture_output=True, text=True, check=True
        )
        whole = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "records": count,
        **json.loads(inner.stdout),
        "whole_process_seconds": whole,
        "whole_process_cpu_seconds": used.ru_utime + used.ru_stime,  # start and imports, too
        "load_of_the_machine": os.getloadavg()[0],  # on a busy one the processor's seconds count
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def write(folder: Path) -> int:
    """Records of every cell, with what the t tests of a table need."""
    draw, form, count = np.random.default_rng(0), records.load(SOURCE)[0], 0
    for task, model, method, seed in product(*map(range, (TASKS, MODELS, METHODS, SEEDS))):
        score = 0.5 + 0.03 * method + 0.01 * draw.normal()
        jackknife = (score + 0.002 * draw.normal(size=GROUPS)).tolist()
        cell = {"task": f"task{task}", "model": f"model{model}", "method": f"method{method}"}
        record = form | {
            "cell": {**cell, "seed": seed},
            "scores": {"test": {"accuracy": score}},
            "floor": {"test": {"accuracy": 0.3}},
            "jackknife": {"references": cell["task"], "scores": jackknife},
        }
        file = records.path_of("many", record["cell"], form["hash"], folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1))
        count += 1
    return count


def timed(folder: Path) -> None:
    """Seconds on the wall and of the processor, to read all and to render all."""
    began = time.perf_counter(), time.process_time()
    found = records.load("many", folder)
    read = time.perf_counter(), time.process_time()
    tables.render(tables.table(found, None))
    done = time.perf_counter(), time.process_time()
    names = ("read", "render"), ("seconds", "cpu_seconds")
    print(
        json.dumps(
            {
                f"{part}_{unit}": end - start
                for part, (ends, starts) in zip(
                    names[0], ((read, began), (done, read)), strict=True
                )
                for unit, end, start in zip(names[1], ends, starts, strict=True)
            }
        )
    )


if __name__ == "__main__":
    timed(Path(sys.argv[1])) if sys.argv[1:] else main()
