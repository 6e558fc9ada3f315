"""How a training step grows with rows, length, prompt length and model size, v2 and fine-tuning.

One size changes at a time, from 8 rows of 64 pieces, a prompt of 20 and a random BERT-base; the
last model is a BERT-large of 335 million parameters.

    python benchmarks/growth.py [--threads 1] [--steps 2]
"""

import argparse
from typing import Any

import torch
from measure import called, keep
from steps import adapted, bert, job_of, steps_of

AXES = {
    "rows": (2, 4, 8, 16, 32),
    "tokens": (16, 32, 64, 128, 256),
    "prompt": (1, 5, 20, 100),
    "model": ((256, 4), (512, 8), (768, 12), (1024, 24)),
}
START = {"rows": 8, "tokens": 64, "prompt": 20, "model": (768, 12)}
METHODS = ("finetune", "ptuning_v2")


def step(method: str, at: dict[str, Any], steps: int) -> float:
    """Seconds of a whole step, the median."""
    torch.manual_seed(0)
    made, training = adapted(method, bert(*at["model"]), at["prompt"])
    warm = 1
    return steps_of(job_of(made, training, at["rows"], at["tokens"], warm + steps), warm)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    results = []
    for axis, values in AXES.items():
        for value in values:
            seconds = {m: step(m, {**START, axis: value}, settings.steps) for m in METHODS}
            shown = {name: round(taken, 4) for name, taken in seconds.items()}
            share = round(seconds["ptuning_v2"] / seconds["finetune"], 3)
            results.append({axis: value, "seconds": shown, "v2 over fine-tuning": share})
            print(results[-1], flush=True)
    keep(called("growth"), "python benchmarks/growth.py", vars(settings), results)


if __name__ == "__main__":
    main()
