"""How long a linear probe's epochs take, as a share of fine-tuning's: the first, and later ones.

Both train on the same rows of a random BERT in turns; what the probe's head reads of a row is kept
(`train.keep`), so that from the second epoch on no row passes through the backbone.

    python benchmarks/probe.py [--threads 1] [--rounds 5] [--width 768] [--layers 12]
"""

import argparse
import random
import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from measure import accelerator, in_turns, keep, ratio
from steps import BASELINE, KIND, Timed, adapted, bert

from ptbench.backbones import Backbone
from ptbench.templates import Encoder
from ptbench.train import Part, fit

FIRST, LATER = "first epoch", "later epochs"


def job_of(name: str, backbone: Backbone, settings: argparse.Namespace, epochs: int) -> Timed:
    """Some epochs on rows of one length, of which no two are equal."""
    made, training = adapted(name, backbone, prompt=0)
    encoder, draw = Encoder(backbone.tokenizer, settings.tokens), random.Random(0)
    texts = [" ".join(draw.choices("abcde", k=settings.tokens)) for _ in range(rows(settings))]
    template = KIND.template
    features = [KIND.encode({"text": text, "label": 1}, encoder, template) for text in texts]
    part, shown = Part(features, [1] * len(features)), Part(features[:1], [1])
    training = replace(training, epochs=epochs, batch_size=settings.rows, keep=1.0)
    return Timed(made, encoder, part, shown, training, 0, accelerator())


def rows(settings: argparse.Namespace) -> int:
    """Of all batches of an epoch."""
    return settings.rows * settings.steps


def epochs_of(job: Timed) -> list[float]:
    """Seconds of a step in each epoch: medians, without the evaluation between two epochs."""
    fit([job], job.accelerator)
    ends = [end for _, end in job.marks]
    per = job.steps_per_epoch
    epochs = [ends[start : start + per] for start in range(0, len(ends), per)]
    return [statistics.median(two - one for one, two in pairwise(epoch)) for epoch in epochs]


def rivals(
    backbone: Backbone, settings: argparse.Namespace, later: list[float]
) -> dict[str, Callable[[], float]]:
    """A round of each; the probe's adds to `later` what its epochs after the first take."""

    def finetuned() -> float:
        return epochs_of(job_of(BASELINE, backbone, settings, 1))[0]

    def probed() -> float:
        first, *others = epochs_of(job_of("linear_probe", backbone, settings, settings.epochs))
        later.append(statistics.median(others))
        return first

    return {BASELINE: finetuned, FIRST: probed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"threads": 1, "rounds": 5, "rows": 8, "tokens": 64, "steps": 5, "epochs": 4}
    for key, value in {**numbers, "width": 768, "layers": 12}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    later: list[float] = []
    found = in_turns(
        rivals(bert(settings.width, settings.layers), settings, later), settings.rounds
    )
    found[LATER] = later
    results = {
        name: {
            "seconds of a step": round(statistics.median(seconds), 5),
            "over fine-tuning": ratio(seconds, found[BASELINE]),
        }
        for name, seconds in found.items()
    }
    keep("probe", "python benchmarks/probe.py", vars(settings), results)


if __name__ == "__main__":
    main()
