"""What sharing a pass saves: K jobs of P-tuning v2 over one backbone in one pass, and one by one.

MiniLM, batches of 4 rows of 32 pieces, seconds of a training step of all K, in turns.

    python benchmarks/fused.py [--threads 1] [--rounds 5]
"""

import argparse
import statistics
from typing import Any

import torch
from accelerate import Accelerator
from hydra import compose, initialize_config_dir
from measure import in_turns, keep, ratio
from steps import KIND, job_of

from ptbench.backbones import Backbone
from ptbench.job import Job
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.train import fit

SIZES = (1, 2, 4, 8, 16, 32)


def jobs(cell: Any, backbone: Backbone, count: int, settings: argparse.Namespace) -> list[Job]:
    """Jobs that differ in their first weights and what they drop."""
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        model = cell.method.adapt(backbone, KIND)
        made.append(job_of(model, cell.training, settings.rows, settings.tokens, settings.steps))
    return made


def seconds(together: list[Job], width: int) -> float:
    """Of a step of all."""
    fit(together, Accelerator(cpu=True), width)
    return sum(job.train_seconds for job in together) / together[0].step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"threads": 1, "rounds": 5, "rows": 4, "tokens": 32, "steps": 6}
    for key, value in numbers.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cell = build_cell(compose("config", ["model=minilm", "method=ptuning_v2"]))
    backbone = cell.model.load()
    results = []
    for count in SIZES:
        rivals = {
            "fused": lambda k=count: seconds(jobs(cell, backbone, k, settings), k),
            "separate": lambda k=count: seconds(jobs(cell, backbone, k, settings), 1),
        }
        taken = in_turns(rivals, settings.rounds)
        medians = {name: round(statistics.median(found), 4) for name, found in taken.items()}
        faster = ratio(taken["separate"], taken["fused"])
        results.append({"K": count, "seconds": medians, "times as fast": faster})
        print(results[-1], flush=True)
    keep("fused", "python benchmarks/fused.py", vars(settings), results)


if __name__ == "__main__":
    main()
