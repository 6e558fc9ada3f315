"""What sharing a pass saves: K jobs of P-tuning v2 over one backbone in one pass, and one by one.

Seconds of a training step of all K, in turns. MiniLM, batches of 4 rows of 32 pieces; on a GPU
also a random RoBERTa of the large one's shape, and bfloat16.

    python benchmarks/fused.py [--threads 1] [--rounds 5]
    python benchmarks/fused.py --model roberta_large --rows 8 --tokens 64 --precision bf16
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from measure import called, in_turns, keep, ratio
from steps import KIND, job_of, roberta_large

from ptbench.backbones import Backbone
from ptbench.job import Job
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.train import fit

SIZES = (1, 2, 4, 8, 16, 32)
MODELS: dict[str, Callable[[Any], Backbone]] = {
    "minilm": lambda cell: cell.model.load(),
    "roberta_large": lambda cell: roberta_large(),
}


def jobs(cell: Any, backbone: Backbone, count: int, settings: argparse.Namespace) -> list[Job]:
    """Jobs that differ in their first weights and what they drop."""
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        model = cell.method.adapt(backbone, KIND)
        shape = settings.rows, settings.tokens, settings.steps
        made.append(job_of(model, cell.training, *shape, settings.precision))
    return made


def seconds(together: list[Job], width: int) -> float:
    """Of a step of all."""
    fit(together, together[0].accelerator, width)
    return sum(job.train_seconds for job in together) / together[0].step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"threads": 1, "rounds": 5, "rows": 4, "tokens": 32, "steps": 6}
    for key, value in numbers.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--model", choices=MODELS, default="minilm")
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cell = build_cell(compose("config", ["model=minilm", "method=ptuning_v2"]))
    backbone = MODELS[settings.model](cell)
    results: list[dict[str, Any]] = []
    name = "fused" if settings.model == "minilm" else f"fused_{settings.model}"
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
    keep(called(name, settings.precision), "python benchmarks/fused.py", vars(settings), results)


if __name__ == "__main__":
    main()
