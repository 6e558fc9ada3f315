"""What every kind of task shares: padding, the loss, and the form of examples."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ptbench.backbones import Backbone
from ptbench.data import Row
from ptbench.errors import DataError
from ptbench.inputs import IGNORE, Batch, Inputs
from ptbench.kinds.heads import Head
from ptbench.metrics import Metric, random_floor, score
from ptbench.patterns import Slots, Template, parse
from ptbench.templates import Encoded, Encoder

Example = Mapping[str, Any]


@dataclass(frozen=True)
class Features:
    """An encoded example; `target` is a label or number, or labels: one for every token, say.

    `more` are the further rows of an example that has several: its choices, or windows of a text;
    `written` what an encoder-decoder writes; `part` the number of its data set, where a task is
    made of several; `pieces` those of each answer to be filled into its masks.
    """

    encoded: Encoded
    target: int | float | list[int]
    written: list[int] | None = None
    part: int = 0
    more: tuple[Encoded, ...] = ()
    pieces: tuple[list[int], ...] = ()

    @property
    def rows(self) -> tuple[Encoded, ...]:
        return self.encoded, *self.more

    def __len__(self) -> int:
        return max(len(row.ids) for row in self.rows)

    @property
    def targets(self) -> list[Any]:
        """The target of each place, or the one of them all."""
        return self.target if isinstance(self.target, list) else [self.target]


@dataclass(frozen=True)
class Kind(ABC):
    """How the examples of a task are read, answered and scored.

    `text` is the plain pattern; `pattern` the one with pseudo tokens and anchors that P-tuning v1
    uses; `metrics` are named with the main one first.
    """

    labels: tuple[str, ...]
    text: str
    pattern: str
    target: str
    metrics: tuple[type[Metric], ...]
    main_metric: str
    front: int = 0
    slots: Slots = 1

    reads: ClassVar[str] = "a text"
    writes: ClassVar[bool] = False  # whether it answers by passes of its own

    def in_front(self, pseudo_tokens: int) -> "Kind":
        """The same kind with pseudo tokens before the text."""
        return replace(self, front=pseudo_tokens)

    def fitted(self, backbone: Backbone) -> "Kind":
        """The same kind as this backbone is asked; most kinds ask all backbones alike."""
        return self

    def fits(self, example: Example, encoder: Encoder) -> bool:
        """Whether the backbone's vocabulary can answer the example; others are left out."""
        return True

    def patterned(self, slots: Slots) -> "Kind":
        """The same kind read through its pattern, with `slots` pseudo tokens for each `[P]`."""
        plain = self.pattern.replace("[MASK]", "")
        return replace(self, text=plain, slots=slots)

    @property
    def template(self) -> Template:
        return parse(self.text, self.front, self.slots)

    def check_room(self, encoder: Encoder) -> None:
        """Raises DataError where the pattern alone leaves no room for text."""
        encoder.check_template(self.template)

    @abstractmethod
    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features: ...

    def unlabelled(self, example: Example) -> Example:
        """The example for prediction: some label, which nothing looks at, in place of its own."""
        return {**example, self.target: 0}

    def answer(self, prediction: Any, example: Example) -> Any:
        """A prediction in the words of the task, whole for its example."""
        return prediction

    @abstractmethod
    def reference(self, example: Example) -> Any:
        """What a prediction is scored against."""

    def classes(self, example: Example) -> list[str]:
        """Those of an example whose shares describe a split: its label, or its entities' types."""
        return []

    @abstractmethod
    def head(self, backbone: Backbone) -> Head: ...

    @abstractmethod
    def predict(self, logits: Tensor, batch: Batch) -> list[Any]: ...

    def write(self, backbone: Backbone, inputs: Inputs, batch: Batch) -> list[Any]:
        """The answers of a kind that `writes`."""
        raise NotImplementedError(f"{type(self).__name__} answers from logits")

    @abstractmethod
    def constant(self, references: list[Any]) -> list[Any]:
        """The best predictions that ignore the text: the majority floor."""

    def unit(self, example: Example) -> Hashable | None:
        """What rows share that are held out together or not at all; None: nothing, each alone."""
        return None

    def for_training(self, rows: list[Row]) -> list[Row]:
        """The rows as they are trained on."""
        return rows

    def for_evaluation(self, rows: list[Row]) -> list[Row]:
        """The rows as they are answered, each question once."""
        return rows

    def reach(self, features: Sequence[Features]) -> int:
        """How many places the longest example takes, its answer with it."""
        return max(map(len, features))

    def check(self, example: Example) -> None:
        """Raises DataError for a missing column, an empty text or an unknown label."""
        self.check_text(example)
        self._check_columns(example, self.target)

    def check_text(self, example: Example) -> None:
        """Raises DataError for a missing column of text or an empty text."""
        names = parse(self.text).fields
        self._check_columns(example, *names)
        for name in names:
            value = example[name]
            if not self.readable(value):
                raise DataError(f"'{name}' is {str(value)[:40]!r}, not {self.reads}")
            if not (value.strip() if isinstance(value, str) else value):
                raise DataError(f"'{name}' is empty; drop the row or give it a text")

    @staticmethod
    def _check_columns(example: Example, *names: str) -> None:
        for name in names:
            if name not in example:
                raise DataError(f"column '{name}' is missing; it has {', '.join(example)}")

    def readable(self, value: Any) -> bool:
        """Whether a field's value is what this kind reads."""
        return isinstance(value, str)

    def label(self, value: Any) -> int:
        """The number of a label given by number or by name."""
        if isinstance(value, str) and value in self.labels:
            return self.labels.index(value)
        if isinstance(value, int) and 0 <= value < len(self.labels):
            return int(value)
        raise DataError(
            f"label {value!r} in '{self.target}' is unknown; the task has "
            f"{', '.join(f'{i} {name}' for i, name in enumerate(self.labels))}"
        )

    def collate(self, features: Sequence[Features], encoder: Encoder) -> Batch:
        """Pads to the longest of the batch; an example's rows stand one after the other."""

        def padded(rows: Sequence[list[int] | list[float]], value: int) -> Tensor:
            return pad_sequence([torch.tensor(row) for row in rows], True, value)

        encoded = [row for f in features for row in f.rows]
        written = [f.written for f in features if f.written is not None]
        return Batch(
            ids=padded([e.ids for e in encoded], encoder.pad),
            mask=padded([[1] * len(e.ids) for e in encoded], 0).bool(),
            types=padded([e.types for e in encoded], 0),
            slots=padded([e.slots for e in encoded], -1),
            answer=torch.tensor([e.answer for e in encoded]),
            targets=padded([f.targets for f in features], IGNORE),
            written=padded(written, encoder.pad) if written else None,
            sizes=tuple(len(f.rows) for f in features),
            rows=tuple(encoded),
        )

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Sum of the cross-entropies of all targets; the loop divides by their number."""
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(0, -2)
        return F.cross_entropy(
            scores, batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )

    def score(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        """All metrics, each between 0 and 1 or as its class says."""
        return score(self.metrics, *self.compared(predictions, references))

    def compared(
        self, predictions: list[Any], references: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Both in the form in which the metrics take them."""
        return predictions, references

    def main_score(self, predictions: list[Any], references: list[Any]) -> float:
        """The main metric's alone, which is of the first class: others may take minutes."""
        first = replace(self, metrics=self.metrics[:1])
        return first.score(predictions, references)[self.main_metric]

    def floor(self, references: list[Any]) -> dict[str, float]:
        """What the best constant answer scores."""
        return self.score(self.constant(references), references)

    def random_floor(self, references: list[Any]) -> dict[str, float]:
        """What the references in random order score on average: right as often, but unread."""
        return random_floor(self.metrics, references)
