"""A text to write: behind the source in a decoder, in the decoder of an encoder-decoder."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from ptbench.backbones import Backbone
from ptbench.data import Row
from ptbench.errors import BackboneError, DataError
from ptbench.generation import generate
from ptbench.inputs import IGNORE, Batch, Inputs
from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.heads import Head
from ptbench.metrics import BLEU, Metric
from ptbench.patterns import Template
from ptbench.templates import Encoder


class WordHead(Head):
    """The LM head's logits at every place that has a target."""

    name = "LM head"

    def __init__(self, backbone: Backbone):
        if not backbone.lm_head.model.can_generate():
            raise BackboneError(
                f"architecture '{backbone.model.config.model_type}' fills masks and cannot write; "
                "choose a decoder or an encoder-decoder (`ptbench list model`)"
            )
        super().__init__(backbone.lm_head)

    def forward(
        self, backbone: Backbone, hidden: Float[Tensor, "rows tokens width"], batch: Batch
    ) -> Float[Tensor, "targets words"]:
        assert self.pretrained is not None
        return self.pretrained(hidden[batch.targets != IGNORE][None])[0]


@dataclass(frozen=True)
class Generation(Kind):
    """A text of at most `new_tokens` tokens, searched for with `beams`.

    A decoder reads source, beginning token, text and ending token in one row (Li & Liang 2021,
    figure 2); the source has no loss. Scores group the rows of one source: their texts are its
    references.
    """

    labels: tuple[str, ...] = field(default=(), kw_only=True)
    metrics: tuple[type[Metric], ...] = (BLEU,)
    main_metric: str = "bleu"
    new_tokens: int = 100
    beams: int = 1

    writes: ClassVar[bool] = True

    def encode(self, example: Example, encoder: Encoder, template: Template) -> Features:
        encoded = encoder.lay_out(template, {name: example[name] for name in template.fields})
        words = encoder.pieces(self.reference(example)[0], spaced=True)[: self.new_tokens - 1]
        if encoder.two_stacks:
            return Features(encoded, [*words, encoder.end], written=[*words, encoder.end])
        source = len(encoded.ids)
        encoded.add([encoder.begin, *words], 0)
        return Features(encoded, [*[IGNORE] * source, *words, encoder.end])

    def unlabelled(self, example: Example) -> Example:
        return {**example, self.target: "?"}

    def unit(self, example: Example) -> str:
        """The source, whose other texts would tell what is asked."""
        return repr([example[name] for name in self.template.fields])

    def for_training(self, rows: list[Row]) -> list[Row]:
        return [{**row, self.target: text} for row in rows for text in self.reference(row)]

    def for_evaluation(self, rows: list[Row]) -> list[Row]:
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            groups[self.unit(row)].append(row)
        return [
            {**group[0], self.target: [text for row in group for text in self.reference(row)]}
            for group in groups.values()
        ]

    def reference(self, example: Example) -> list[str]:
        """The texts that may be written: the column holds one or a list."""
        given = example[self.target]
        texts = given if isinstance(given, list) else [given]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(f"'{self.target}' is {str(given)[:40]!r}, not a text or texts")
        return texts

    def reach(self, features: Sequence[Features]) -> int:
        if features[0].written is not None:
            return max(super().reach(features), self.new_tokens)
        return max(f.targets.count(IGNORE) for f in features) + self.new_tokens

    def head(self, backbone: Backbone) -> Head:
        return WordHead(backbone)

    def loss(self, logits: Float[Tensor, "targets words"], batch: Batch) -> Tensor:
        return super().loss(logits, replace(batch, targets=batch.targets[batch.targets != IGNORE]))

    def write(self, backbone: Backbone, inputs: Inputs, batch: Batch) -> list[str]:
        """The text found for each row."""
        if batch.written is None:
            inputs = _source(inputs, batch)
        written = generate(backbone, inputs, self.new_tokens, self.beams)
        texts = backbone.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def predict(self, logits: Tensor, batch: Batch) -> list[Any]:
        raise NotImplementedError("texts are searched for, word by word")

    def constant(self, references: list[Any]) -> list[str]:
        texts = Counter(text for row in references for text in row)
        return [texts.most_common(1)[0][0]] * len(references)


def _source(inputs: Inputs, batch: Batch) -> Inputs:
    """The rows up to the place that is to be answered first."""
    answered = batch.targets != IGNORE
    return replace(inputs, mask=batch.mask & (answered.cumsum(1) - answered.int() == 0))
