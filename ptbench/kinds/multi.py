"""Several kinds side by side, one for each data set: a shared prompt, a head each.

This is the model of multi-task P-tuning v2 (Liu et al. 2022, MPT-2), whose code was not released.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from ptbench.backbones import Backbone
from ptbench.errors import ConfigError, DataError, did_you_mean
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.heads import Head
from ptbench.metrics import Metric
from ptbench.patterns import Slots, Template
from ptbench.templates import Encoder

TASK = "task"  # the column that says of which data set a row is


class Heads(Head):
    """A head for each data set; the rows of a batch are of one, and its head reads them."""

    def __init__(self, heads: Mapping[str, Head]):
        super().__init__()
        self.parts = nn.ModuleDict(heads)
        names = dict.fromkeys(head.name for head in heads.values())
        self.name = f"{', '.join(names)}, one a data set"

    def read(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        return self._of(batch).read(backbone, hidden, batch)

    def forward(self, backbone: Backbone, hidden: Tensor, batch: Batch) -> Tensor:
        return self._of(batch)(backbone, hidden, batch)

    def _of(self, batch: Batch) -> Any:
        return list(self.parts.values())[batch.part]


@dataclass(frozen=True)
class Multi(Kind):
    """The kinds of several data sets, which their names and places in `parts` number.

    `limits` are the most pieces of each. Scores are the parts' own, as `<name>/<metric>`, and the
    `mean` of their main ones.
    """

    labels: tuple[str, ...] = ()
    text: str = ""
    pattern: str = ""
    target: str = ""
    metrics: tuple[type[Metric], ...] = ()
    main_metric: str = "mean"
    parts: Mapping[str, Kind] = field(kw_only=True)
    limits: Mapping[str, int] = field(kw_only=True)

    def in_front(self, pseudo_tokens: int) -> "Multi":
        return self._each(lambda kind: kind.in_front(pseudo_tokens))

    def patterned(self, slots: Slots) -> "Multi":
        return self._each(lambda kind: kind.patterned(slots))

    def fitted(self, backbone: Backbone) -> "Multi":
        return self._each(lambda kind: kind.fitted(backbone))

    def _each(self, change: Callable[[Kind], Kind]) -> "Multi":
        return replace(self, parts={name: change(kind) for name, kind in self.parts.items()})

    @property
    def template(self) -> Template:
        """The part's with the most pseudo tokens: so many rows the shared prompt needs."""
        templates = (kind.template for kind in self.parts.values())
        return max(templates, key=lambda template: template.pseudo_tokens)

    def check_room(self, encoder: Encoder) -> None:
        for name, kind in self.parts.items():
            kind.check_room(encoder.within(self.limits[name]))

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        name, kind = self._name(example), self._kind(example)
        features = kind.encode(example, encoder.within(self.limits[name]), kind.template)
        return replace(features, part=list(self.parts).index(name))

    def _name(self, example: Example) -> str:
        self._check_columns(example, TASK)
        if (name := example[TASK]) not in self.parts:
            raise DataError(f"'{TASK}' is {name!r}; {did_you_mean(str(name), self.parts)}")
        return name

    def _kind(self, example: Example) -> Kind:
        return self.parts[self._name(example)]

    def _numbered(self, part: int) -> Kind:
        return list(self.parts.values())[part]

    def fits(self, example: Example, encoder: Encoder) -> bool:
        return self._kind(example).fits(example, encoder)

    def unlabelled(self, example: Example) -> Example:
        return self._kind(example).unlabelled(example)

    def answer(self, prediction: Any, example: Example) -> Any:
        return self._kind(example).answer(prediction, example)

    def reference(self, example: Example) -> tuple[str, Any]:
        """The data set's name, with what its predictions are scored against."""
        return self._name(example), self._kind(example).reference(example)

    def classes(self, example: Example) -> list[str]:
        return self._kind(example).classes(example)

    def check(self, example: Example) -> None:
        self._kind(example).check(example)

    def check_text(self, example: Example) -> None:
        self._kind(example).check_text(example)

    def reach(self, features: Sequence[Features]) -> int:
        groups: dict[int, list[Features]] = defaultdict(list)
        for one in features:
            groups[one.part].append(one)
        return max(self._numbered(part).reach(some) for part, some in groups.items())

    def head(self, backbone: Backbone) -> Head:
        heads = {name: kind.head(backbone) for name, kind in self.parts.items()}
        if shared := [name for name, head in heads.items() if head.pretrained is not None]:
            raise ConfigError(
                f"task.parts={list(self.parts)}: {', '.join(shared)} is answered by the backbone's "
                "own LM head, and a part needs a head of its own; leave it out"
            )
        return Heads(heads)

    def collate(self, features: Sequence[Features], encoder: Encoder) -> Batch:
        (part,) = {one.part for one in features}  # a batch never mixes data sets
        return replace(self._numbered(part).collate(features, encoder), part=part)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return self._numbered(batch.part).loss(logits, batch)

    def predict(self, logits: Tensor, batch: Batch) -> list[Any]:
        return self._numbered(batch.part).predict(logits, batch)

    def constant(self, references: list[Any]) -> list[Any]:
        found: list[Any] = [None] * len(references)
        for name, places in _places(references).items():
            answers = self.parts[name].constant([references[place][1] for place in places])
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
        return found

    def score(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        scores = {}
        for name, places in _places(references).items():
            found = [predictions[place] for place in places]
            scores[name] = self.parts[name].score(found, [references[p][1] for p in places])
        return self._joined(scores)

    def random_floor(self, references: list[Any]) -> dict[str, float]:
        return self._joined(
            {
                name: self.parts[name].random_floor([references[place][1] for place in places])
                for name, places in _places(references).items()
            }
        )

    def _joined(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        mean = fmean(found[self.parts[name].main_metric] for name, found in scores.items())
        every = {f"{n}/{metric}": s for n, found in scores.items() for metric, s in found.items()}
        return {self.main_metric: mean, **every}


def _places(references: list[Any]) -> dict[str, list[int]]:
    """Where each data set's rows are."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, (name, _) in enumerate(references):
        places[name].append(place)
    return places
