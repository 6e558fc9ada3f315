"""A span of a context that answers a question; a long context is read in windows.

The layout of the windows, the targets and the choice of the best span are those of the scripts
that P-tuning v2's code follows (Hugging Face's run_qa).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.errors import DataError
from ptbench.inputs import Batch
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.heads import Head, linear
from ptbench.metrics import Metric, SquadV1
from ptbench.patterns import Template
from ptbench.templates import Encoded, Encoder

CONTEXT = "context"
Bounds = tuple[int, int]
NOTHING: Bounds = (0, 0)


class SpanHead(Head):
    """A linear layer on every token, without dropout: a logit to start there, one to end."""

    name = "linear"

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.classifier = linear(backbone.width, 2)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "rows tokens 2"]:
        return self.classifier(hidden)


@dataclass(frozen=True)
class Span(Kind):
    """A part of the field `context`, found as characters and answered as text.

    Windows of a context share `stride` pieces (half a window, where that is less), and an answer
    that a window does not hold whole is "no answer" there: the [CLS] token or, where a tokenizer
    has none, the last token, which a decoder reads last. A prediction is the best span of the
    `n_best` starts and ends, of at most `max_pieces`, over all windows. `null_threshold`: how much
    better than that "no answer" must be; null where every question has one (SQuAD 1.1).
    """

    labels: tuple[str, ...] = ("start", "end")
    text: str = "{question}[SEP]{context}"
    pattern: str = "[P] {question} [P][SEP]{context}"
    target: str = "answers"
    metrics: tuple[type[Metric], ...] = (SquadV1,)
    main_metric: str = "f1"
    null_threshold: float | None = None
    stride: int = 128
    n_best: int = 20
    max_pieces: int = 30

    def check(self, example: Example) -> None:
        super().check(example)
        answers = self._answers(example)
        if not answers and self.null_threshold is None:
            raise DataError(f"no answer in '{self.target}', where every question has one")
        for text, start in answers:
            if example[CONTEXT][start : start + len(text)] != text:
                raise DataError(f"'{text[:40]}' does not stand at character {start} of the context")

    def _answers(self, example: Example) -> list[tuple[str, int]]:
        answers = example[self.target]
        try:
            return list(zip(answers["text"], answers["answer_start"], strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"'{self.target}' is {str(answers)[:60]}, not an object with lists 'text' and "
                "'answer_start' of one length"
            ) from error

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: {"text": [], "answer_start": []}}

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        answers = [(start, start + len(text)) for text, start in self._answers(example)]
        rows = self._windows(example, encoder, template)
        target = [place for row in rows for place in _target(row, answers[:1])]
        return Features(rows[0], target, more=tuple(rows[1:]))

    def _windows(self, example: Example, encoder: Encoder, template: Template) -> list[Encoded]:
        room = encoder.room(template) - len(encoder.closing)
        share = room // len(template.fields)
        asked = {
            name: encoder.located(template, name, example[name].strip())[0][:share]
            for name in template.fields
            if name != CONTEXT
        }
        room -= sum(map(len, asked.values()))
        shared = min(self.stride, room // 2)
        ids, characters = encoder.located(template, CONTEXT, example[CONTEXT])
        rows: list[Encoded] = []
        for start in range(0, max(len(ids) - shared, 1), room - shared):
            part = slice(start, start + room)
            row = encoder.lay_out(template, {**asked, CONTEXT: ids[part]})
            row.add(encoder.closing, row.types[-1])
            row.characters = characters[part]
            cls = encoder.tokenizer.cls_token_id
            row.answer = row.ids.index(cls) if cls in row.ids else len(row.ids) - 1
            rows.append(row)
        return rows

    def collate(self, features: Sequence[Features], encoder: Encoder) -> Batch:
        batch = super().collate(features, encoder)
        characters = torch.full((*batch.ids.shape, 2), -1)
        for number, row in enumerate(row for f in features for row in f.rows):
            characters[number, row.places[CONTEXT]] = torch.tensor(row.characters).view(-1, 2)
        targets = [torch.tensor(f.target).view(-1, 2) for f in features]
        return replace(batch, targets=torch.cat(targets), characters=characters)

    def reference(self, example: Example) -> Any:
        texts = [text for text, _ in self._answers(example)]
        return {CONTEXT: example[CONTEXT], "answers": texts}

    def head(self, backbone: Backbone) -> Head:
        return SpanHead(backbone)

    def loss(self, logits: Float[Tensor, "rows tokens 2"], batch: Batch) -> Tensor:
        """Sum of the cross-entropies of all starts and ends among the places of text."""
        return super().loss(_of_text(logits, batch).transpose(1, 2), batch)

    def predict(self, logits: Float[Tensor, "rows tokens 2"], batch: Batch) -> list[Bounds]:
        """The characters of each example's answer, (0, 0) for none."""
        scores = _of_text(logits, batch)
        rows = torch.arange(len(scores), device=scores.device)
        nothing = scores[rows, batch.answer].sum(-1)
        found: list[Bounds] = []
        windows = (part.split(batch.sizes) for part in (*self._best(scores, batch), nothing))
        for best, start, end, none in zip(*windows, strict=True):
            row = best.argmax()
            refused = self.null_threshold is not None and (
                none.min() - best[row] > self.null_threshold
            )
            absent = refused or best[row] == -torch.inf
            found.append(NOTHING if absent else (int(start[row]), int(end[row])))
        return found

    def _best(
        self, scores: Float[Tensor, "rows tokens 2"], batch: Batch
    ) -> tuple[Float[Tensor, " rows"], Int[Tensor, " rows"], Int[Tensor, " rows"]]:
        """Each row's best span: its score, -inf where there is none, and its characters."""
        assert batch.characters is not None
        top = scores.topk(min(self.n_best, scores.shape[1]), 1)
        bounds = batch.characters.gather(1, top.indices)
        starts, ends = top.indices.unbind(-1)
        length = ends[:, None] - starts[:, :, None] + 1
        inside = bounds >= 0
        good = inside[:, :, None, 0] & inside[:, None, :, 1]
        good = good & (length >= 1) & (length <= self.max_pieces)
        first, last = top.values.unbind(-1)
        sums = (first[:, :, None] + last[:, None]).masked_fill(~good, -torch.inf)
        best, place = sums.flatten(1).max(1)
        rows, width = torch.arange(len(scores), device=scores.device), sums.shape[2]
        return best, bounds[rows, place // width, 0], bounds[rows, place % width, 1]

    def answer(self, prediction: Bounds, example: Example) -> str:
        return example[CONTEXT][slice(*prediction)]

    def compared(
        self, predictions: list[Any], references: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        pairs = zip(predictions, references, strict=True)
        texts = [self.answer((start, end), reference) for (start, end), reference in pairs]
        return texts, [reference["answers"] for reference in references]

    def unit(self, example: Example) -> str:
        """The context, which other questions are on too."""
        return example[CONTEXT]

    def random_floor(self, references: list[Any]) -> dict[str, float]:
        """What the answers to other questions score on average."""
        return super().random_floor([reference["answers"] for reference in references])

    def constant(self, references: list[Any]) -> list[Bounds]:
        """No answer, to every question."""
        return [NOTHING] * len(references)


def _of_text(logits: Float[Tensor, "rows tokens 2"], batch: Batch) -> Tensor:
    """The logits in float32 or better; padding and pseudo tokens are no places of a span."""
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return scores.masked_fill(~batch.text[..., None], torch.finfo(scores.dtype).min)


def _target(row: Encoded, answer: Sequence[Bounds]) -> Bounds:
    """Where an answer's first and last piece stand, or twice the place of "no answer"."""
    pieces = row.characters
    for start, end in answer:
        if pieces and pieces[0][0] <= start and end <= pieces[-1][1]:
            first = max(i for i, (begins, _) in enumerate(pieces) if begins <= start)
            last = min(i for i, (_, ends) in enumerate(pieces) if i >= first and ends >= end)
            return row.places[CONTEXT][first], row.places[CONTEXT][last]
    return row.answer, row.answer
