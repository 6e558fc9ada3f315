"""A method: how a pretrained backbone is adapted to a task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptbench.backbones import Backbone
from ptbench.errors import BackboneError
from ptbench.inputs import Batch, stack
from ptbench.kinds import Head, Kind
from ptbench.prompts import Prompt
from ptbench.readings import Readings

Own = Callable[[], AbstractContextManager[None]]


class Adapted(nn.Module):
    """Prompt, backbone and head as one model; what must not train has no gradient."""

    def __init__(
        self,
        kind: Kind,
        backbone: Backbone,
        prompt: Prompt,
        head: Head,
        *,
        frozen: bool,
        backbone_dropout: bool,
    ):
        super().__init__()
        self.kind, self.backbone, self.prompt, self.head = kind, backbone, prompt, head
        self.frozen, self.backbone_dropout = frozen, backbone_dropout
        self.readings, self.lower = Readings(), Readings()
        for parameter in self.pretrained():
            parameter.requires_grad_(not frozen)
            if not frozen and torch.finfo(parameter.dtype).bits < 32:
                raise BackboneError(
                    f"model.dtype={str(parameter.dtype).removeprefix('torch.')}: this method "
                    "trains the backbone, and small steps are lost in so few digits; set "
                    "model.dtype=float32, and train.precision=bf16 for speed"
                )

    def pretrained(self) -> Iterator[nn.Parameter]:
        """The parameters that come with the backbone, its LM head's too."""
        parts = [self.backbone, self.head.pretrained]
        seen: set[int] = set()
        for part in parts:
            for parameter in part.parameters() if part is not None else ():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield parameter

    def new_head(self) -> Iterator[nn.Parameter]:
        """The head's parameters that do not come with the backbone."""
        pretrained = {id(parameter) for parameter in self.pretrained()}
        return (p for p in self.head.parameters() if id(p) not in pretrained)

    def keep(self, limit: float) -> None:
        """Keeps in so many bytes what is the same of a row in every step, dropout being off.

        That is what the head reads, where no prompt enters; else what enters the lowest layer that
        has one.
        """
        if not self.frozen or self.backbone_dropout or self.kind.writes:
            return
        if self.prompt.encoder is None:
            self.readings = Readings(limit)
        elif self.prompt.depth and self.backbone.stack is not None:
            self.lower = Readings(limit)

    @property
    def depth(self) -> int:
        """The layer below which what is kept spares a pass."""
        return self.prompt.depth if self.lower.limit else 0

    def entering(self, batch: Batch) -> Tensor:
        """The hidden states that enter the layer at `depth`."""
        unknown, found = self.lower.unknown(batch), torch.empty(0, 0)
        if len(unknown.ids):
            inputs = self.backbone.inputs(unknown, self.prompt.shift)
            found = self.backbone.below(inputs, self.depth)
        return self.lower.whole(batch, unknown, found)

    def train(self, mode: bool = True) -> "Adapted":
        super().train(mode)
        self.backbone.train(mode and self.backbone_dropout)
        return self

    def learn(self) -> None:
        """Into training mode, if an evaluation, its own or another's of the backbone, left it."""
        if not self.training or self.backbone.training is not self.backbone_dropout:
            self.train()

    def forward(self, batch: Batch) -> Tensor:
        return forward([self], [batch])[0]

    def trained_state(self) -> dict[str, Tensor]:
        """Copies of what trains, enough to come back to this state."""
        return {n: p.detach().clone() for n, p in self.named_parameters() if p.requires_grad}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Puts a trained state back."""
        self.load_state_dict(state, strict=False)

    def load_state_dict(self, *arguments: Any, **named: Any) -> Any:
        self.readings.clear()
        self.lower.clear()
        return super().load_state_dict(*arguments, **named)

    def check_length(self, longest: int) -> None:
        """Raises BackboneError where text and prompt exceed the position table."""
        limit = self.backbone.position_limit
        if limit is not None and self.prompt.shift + longest > limit:
            encoder = self.prompt.encoder
            raise BackboneError(
                f"the longest text has {longest} tokens (its pseudo tokens included) and begins at "
                f"position {self.prompt.shift}, but the backbone's position table has {limit} "
                f"(prompt length {encoder.length if encoder else 0}); "
                "lower task.max_length or the method's prompt length"
            )

    def describe(self, name: str) -> dict[str, str]:
        """This model's point on the grid of methods, for records and tables."""
        encoder = self.prompt.encoder
        return {
            "title": name,
            "prompt": self.prompt.place,
            "encoder": encoder.title if encoder is not None else "-",
            "head": self.head.name,
            "backbone": "frozen" if self.frozen else "trained",
        }


def forward(
    models: Sequence[Adapted],
    batches: Sequence[Batch],
    own: Sequence[Own] | None = None,
) -> list[Tensor]:
    """Logits of several adapted models of one backbone, by one pass through it.

    Each model's prompt and head run inside what its `own` gives, such as its random numbers.
    """
    apart = [nullcontext] * len(models) if own is None else own
    unknown = [model.readings.unknown(b) for model, b in zip(models, batches, strict=True)]
    parts = [part for part in zip(models, unknown, apart, strict=True) if len(part[1].ids)]
    found = iter(_read(parts))
    logits = []
    for model, batch, passed, alone in zip(models, batches, unknown, apart, strict=True):
        read = next(found) if len(passed.ids) else torch.empty(0, 0)
        whole = model.readings.whole(batch, passed, read)
        with alone():
            logits.append(model.head(model.backbone, whole, batch))
    return logits


def _read(parts: Sequence[tuple[Adapted, Batch, Own]]) -> list[Tensor]:
    """What each model's head reads of its batch, by one pass of all."""
    if not parts:
        return []
    backbone, inputs = parts[0][0].backbone, []
    for model, batch, alone in parts:
        with alone():
            inputs.append(model.prompt(batch, backbone))
    together = stack(inputs)
    depths = {model.depth for model, *_ in parts}
    if len(depths) == 1 and any(depths):
        entering = [model.entering(batch) for model, batch, _ in parts]
        tokens = together.mask.shape[1]
        padded = [F.pad(states, (0, 0, 0, tokens - states.shape[1])) for states in entering]
        together = replace(together, states=torch.cat(padded), depth=depths.pop())
    hidden = backbone(together).split([len(batch.ids) for _, batch, _ in parts])
    return [
        model.head.read(backbone, states[:, : batch.places], batch)
        for (model, batch, _), states in zip(parts, hidden, strict=True)
    ]


def respond(models: Sequence[Adapted], batches: Sequence[Batch]) -> list[list[Any]]:
    """Answers of several adapted models of one backbone; those that write take a pass each."""
    answers: list[list[Any]] = [[] for _ in models]
    joint: list[int] = []
    for number, (model, batch) in enumerate(zip(models, batches, strict=True)):
        if model.kind.writes:
            inputs = model.prompt(batch, model.backbone)
            answers[number] = model.kind.write(model.backbone, inputs, batch)
        else:
            joint.append(number)
    if joint:
        logits = forward([models[i] for i in joint], [batches[i] for i in joint])
        for number, found in zip(joint, logits, strict=True):
            answers[number] = models[number].kind.predict(found, batches[number])
    return answers


@dataclass(frozen=True)
class Method(ABC):
    """How a backbone is adapted; the fields are the method's hyperparameters.

    `backbone_dropout` says whether the backbone's own dropout is on while training.
    """

    backbone_dropout: bool

    title: ClassVar[str]

    @property
    def name(self) -> str:
        """What a table's row is called."""
        return self.title

    @property
    def trains_backbone(self) -> bool:
        """Whether the backbone's own weights move, so that no other cell can share it."""
        return False

    @abstractmethod
    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted: ...
