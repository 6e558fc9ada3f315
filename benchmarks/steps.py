"""How long a training step of each method takes, as a share of fine-tuning's.

All methods train the same random BERT on the same batch through the suite's own loop, in turns. A
bare loop over the same model shows what the suite's adds. How much a frozen backbone saves hangs on
fine-tuning's AdamW, so its step is also taken with torch's default one, which is not fused.

    python benchmarks/steps.py [--threads 1] [--rounds 7]
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from measure import DEVICE, accelerator, called, in_turns, keep, now, ratio
from torch import nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.build import chosen
from ptbench.kinds import Classification
from ptbench.method import Adapted
from ptbench.models import Model
from ptbench.optimisation import Training, optimizer, scheduler
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.templates import Encoder
from ptbench.train import Job, Part, fit

BASELINE = "finetune"
LENGTH = {
    "prompt_tuning": "method.prompt_length={whole}",
    "prefix_tuning": "method.prefix_length={whole}",
    "ptuning_v2": "method.prefix_length={whole}",
    "ptuning_v1_frozen": "method.slot_length={half}",
    "ptuning_v1_tuned": "method.slot_length={half}",
}
METHODS = (BASELINE, "linear_probe", *LENGTH)
KIND = Classification(("no", "yes"), "{text}", "[P] {text} [P]")


class Timed(Job):
    """A job that notes when each step's optimiser begins and ends."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.marks: list[tuple[float, float]] = []

    def update(self) -> None:
        began = now()
        super().update()
        self.marks.append((began, now()))


def bert(width: int, layers: int, words: int = 30522) -> Backbone:
    """A random BERT of that shape, with heads of 64."""
    return backbone_of(BertModel(BertConfig(vocab_size=words, **shape(width, layers))))


def roberta_large() -> Backbone:
    """A random RoBERTa of the large one's shape."""
    own = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
    return backbone_of(RobertaModel(RobertaConfig(**own, **shape(1024, 24))))


def shape(width: int, layers: int) -> dict[str, Any]:
    """What both architectures call alike."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "attn_implementation": NAMES["sdpa"],
    }


def backbone_of(model: Any) -> Backbone:
    """It, with the pieces of the tiny model."""
    tokenizer = chosen("model", "tiny", Model).load().tokenizer
    return Backbone(model, tokenizer, Pooling.first, None)


def adapted(name: str, backbone: Backbone, prompt: int) -> tuple[Adapted, Training]:
    """A method on the backbone, with the training that its file asks for."""
    overrides = [f"method={name}", "model=tiny", "task=pocket_sentiment"]
    overrides += [LENGTH[name].format(whole=prompt, half=prompt // 2)] if name in LENGTH else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cell = build_cell(compose("config", overrides))
    return cell.method.adapt(backbone, KIND), cell.training


def job_of(
    made: Adapted, training: Training, rows: int, tokens: int, steps: int, precision: str = "no"
) -> Timed:
    """Some steps on one batch, over and over."""
    encoder = Encoder(made.backbone.tokenizer, tokens)
    one = {"text": " ".join(["a"] * tokens), "label": 1}
    features = [made.kind.encode(one, encoder, made.kind.template)] * (rows * steps)
    part, shown = Part(features, [1] * len(features)), Part(features[:1], [1])
    training = replace(training, epochs=1, batch_size=rows)
    return Timed(made.to(DEVICE), encoder, part, shown, training, 0, accelerator(precision))


def steps_of(job: Timed, warm: int) -> tuple[float, float]:
    """Seconds of a whole step, and of its forward and backward pass alone: medians."""
    fit([job], job.accelerator)
    marks = job.marks[warm - 1 :]
    whole = [two[1] - one[1] for one, two in pairwise(marks)]
    passes = [two[0] - one[1] for one, two in pairwise(marks)]
    return statistics.median(whole), statistics.median(passes)


def bare(made: Adapted, training: Training, job: Timed, steps: int, warm: int) -> float:
    """Seconds of a step of the plainest loop that does the same sums."""
    moved = optimizer(made, training)
    rates = scheduler(moved, training, steps, steps)
    batches = [part.batch for part in job.next_batch()] * steps
    trained = [p for p in made.parameters() if p.requires_grad]
    made.train()
    marks = []
    for batch in batches:
        with job.accelerator.autocast():
            logits = made(batch)
        loss = made.kind.loss(logits, batch) / len(batch.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, training.clip)
        moved.step()
        moved.zero_grad()
        rates.step()
        marks.append(now())
    taken = [two - one for one, two in pairwise(marks[warm - 1 :])]
    return statistics.median(taken)


def measured(
    name: str,
    backbone: Backbone,
    settings: argparse.Namespace,
    passes: dict[str, list[float]],
    fused: bool = True,
) -> Callable[[], float]:
    """A round of one method, that adds to `passes` what its passes take without the optimiser.

    `fused` false has AdamW go tensor by tensor, as torch's own default does on a CPU.
    """

    def once() -> float:
        made, training = adapted(name, backbone, settings.prompt)
        steps = settings.warm + settings.steps
        job = job_of(made, training, settings.rows, settings.tokens, steps, settings.precision)
        for group in job.optimizer.param_groups:
            group["fused"] = fused
        whole, part = steps_of(job, settings.warm)
        passes.setdefault(name, []).append(part)
        return whole

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for key, value in {"threads": 1, "rounds": 7, "rows": 8, "tokens": 64, "prompt": 20}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    for key, value in {"width": 768, "layers": 12, "warm": 2, "steps": 4}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    backbone = bert(settings.width, settings.layers)
    passes: dict[str, list[float]] = {}

    def bare_round() -> float:
        made, training = adapted("ptuning_v2", backbone, settings.prompt)
        steps = settings.warm + settings.steps
        job = job_of(made, training, settings.rows, settings.tokens, steps, settings.precision)
        return bare(made, training, job, steps, settings.warm)

    rivals = {name: measured(name, backbone, settings, passes) for name in METHODS}
    rivals |= {
        "bare loop": bare_round,
        "unfused": measured(BASELINE, backbone, settings, {}, False),
    }
    whole = in_turns(rivals, settings.rounds)
    results = {
        name: {
            "seconds": round(statistics.median(whole[name]), 4),
            "whole step over fine-tuning": ratio(whole[name], whole[BASELINE]),
            "forward and backward over fine-tuning": ratio(passes[name], passes[BASELINE]),
        }
        for name in METHODS
    }
    loop = {"ptuning_v2 over a bare loop": ratio(whole["ptuning_v2"], whole["bare loop"])}
    unfused = {
        f"{name} over fine-tuning": ratio(whole[name], whole["unfused"])
        for name in ("ptuning_v2", "prompt_tuning")
    }
    command = "python benchmarks/steps.py"
    keep(
        called("steps", settings.precision),
        command,
        vars(settings),
        {"steps": results, "loop": loop, "where fine-tuning's AdamW is not fused": unfused},
    )


if __name__ == "__main__":
    main()
