"""How a model's parameters are moved: rates, schedules, precision."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from ptbench.errors import ConfigError
from ptbench.method import Adapted


class Schedule(StrEnum):
    """How the learning rate falls after the warm-up."""

    linear = "linear"  # to zero at the last step
    exponential = "exponential"  # by the factor 0.95 after each epoch
    constant = "constant"


class Precision(StrEnum):
    """Of the forward pass; parameters and optimiser stay in fp32."""

    fp32 = "no"
    bf16 = "bf16"


@dataclass(frozen=True)
class Training:
    """How a job trains.

    Rates: `learning_rate`, and where they are not null `head_learning_rate` for a new head and
    `backbone_learning_rate` for a backbone that trains. `warmup` is a share of all steps, `clip`
    the largest gradient norm, `accumulate` the number of parts in which a batch passes, `patience`
    the epochs without gain after which to stop (null: never), `keep` the gigabytes for what a
    frozen backbone without dropout gives alike of a row in each epoch (null: nothing is kept),
    `compile` whether torch compiles the backbone's passes.
    """

    epochs: int
    batch_size: int
    accumulate: int
    learning_rate: float
    head_learning_rate: float | None
    backbone_learning_rate: float | None
    weight_decay: float
    schedule: Schedule
    warmup: float
    clip: float
    patience: int | None
    precision: Precision
    threads: int | None
    keep: float | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "patience", "threads"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"train.{name}={value}: must be 1 or more")
        for name in (
            "learning_rate",
            "head_learning_rate",
            "backbone_learning_rate",
            "clip",
            "keep",
        ):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ConfigError(f"train.{name}={value:g}: must be above 0")
        if self.compile and self.keep is not None:
            raise ConfigError(
                f"train.compile=true with train.keep={self.keep:g}: a compiled pass goes through "
                "all layers and has no use for what is kept; set train.keep=null, or "
                "train.compile=false"
            )
        if not self.weight_decay >= 0:
            raise ConfigError(f"train.weight_decay={self.weight_decay:g}: must be 0 or more")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"train.warmup={self.warmup:g}: a share of all steps, from 0 to 1")


def optimizer(model: Adapted, training: Training) -> torch.optim.AdamW:
    """AdamW over what trains, with a rate each for prompt, new head and backbone.

    Raises ConfigError where nothing trains.
    """
    parts = (
        (model.prompt.parameters(), None),
        (model.new_head(), training.head_learning_rate),
        (model.pretrained(), training.backbone_learning_rate),
    )
    groups: list[dict[str, Any]] = []
    for parameters, rate in parts:
        if trained := [p for p in parameters if p.requires_grad]:
            groups.append(
                {"params": trained, "lr": training.learning_rate if rate is None else rate}
            )
    if not groups:
        raise ConfigError(
            f"nothing trains: the backbone is frozen, there is no prompt, and the head "
            f"({model.head.name}) comes with the backbone; choose a method with a prompt, or "
            "method=finetune"
        )
    return torch.optim.AdamW(groups, weight_decay=training.weight_decay, fused=True)


def scheduler(
    optimizer: torch.optim.Optimizer, training: Training, per_epoch: int, total: int
) -> LambdaLR:
    """The factor on all rates, step by step: warm-up, then the schedule."""
    warmup = round(training.warmup * total)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if training.schedule is Schedule.exponential:
            return 0.95 ** (step // per_epoch)
        if training.schedule is Schedule.constant:
            return 1.0
        return max(0.0, (total - step) / max(total - warmup, 1))

    return LambdaLR(optimizer, factor)
