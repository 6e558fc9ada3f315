"""How long the commands take to answer, and how long a finished cell takes to be skipped.

python benchmarks/startup.py [--rounds 5]
"""

import argparse
import logging
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from measure import in_turns, keep
from omegaconf import open_dict

from ptbench import run
from ptbench.paths import CONF
from ptbench.sweeps import cells, read

PTBENCH = str(Path(sys.executable).with_name("ptbench"))
SWEEP = "first_table"
COMMANDS = (["--help"], ["list", "method"], ["table", SWEEP])


def answered(*arguments: str) -> Callable[[], float]:
    """Seconds of a command in a process of its own."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run([PTBENCH, *arguments], capture_output=True, check=True)
        return time.perf_counter() - began

    return once


def skipped() -> dict[str, float]:
    """Median seconds for each finished cell of a sweep in one process: Hydra's part and ours."""
    composed, told = [], []
    every = [cell for cell in cells(read(SWEEP)) if cell.seed == 0]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for cell in 2 * every:
            overrides = [f"sweeps={SWEEP}", f"task={cell.task}", f"model={cell.model}"]
            overrides += [f"method={cell.method}", f"seed={cell.seed}"]
            marks = [time.perf_counter()]
            config = compose("config", overrides, return_hydra_config=True)
            marks.append(time.perf_counter())
            HydraConfig.instance().set_config(deepcopy(config))
            with open_dict(config):
                del config["hydra"]
            marks.append(time.perf_counter())
            run.run(run.plan(config))
            marks.append(time.perf_counter())
            one, _, two = (later - earlier for earlier, later in pairwise(marks))
            composed.append(one)
            told.append(two)
    first, *others = told
    return {
        "composed of files not read before": round(statistics.median(composed[1 : len(every)]), 4),
        "composed of files read before": round(statistics.median(composed[len(every) :]), 4),
        "the cell is skipped": round(statistics.median(others), 4),
        "the first, with imports and checksums": round(first, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    logging.disable()
    rivals = {" ".join(["ptbench", *one]): answered(*one) for one in COMMANDS}
    seconds = in_turns(rivals, settings.rounds)
    commands = {re.sub(" +", " ", k): round(statistics.median(v), 3) for k, v in seconds.items()}
    results = {"seconds of a command": commands, "seconds of a skipped cell": skipped()}
    keep("startup", "python benchmarks/startup.py", vars(settings), results)


if __name__ == "__main__":
    main()
