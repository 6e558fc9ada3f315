"""P-tuning v1 (Liu et al. 2021): pseudo tokens from a BiLSTM and MLP, among anchor words.

Where the backbone has an LM head and the task a cloze form, the answer is the verbalizer's word at
the mask, or what fills several (`task.masks`); elsewhere the task's head reads the same pattern
without its mask.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import LSTM, MLP, Encoder
from ptbench.kinds import Classification, Cloze, Kind
from ptbench.method import Adapted, Method
from ptbench.patterns import Slots
from ptbench.prompts import InputPrompt


class EncoderName(StrEnum):
    """The authors' two prompt encoders."""

    lstm = "lstm"
    mlp = "mlp"


@dataclass(frozen=True)
class PTuningV1(Method):
    """`slot_length` pseudo tokens stand for each `[P]` of the task's pattern.

    `template` gives each `[P]` its own number instead, such as [3, 3, 3]: the paper's (a, b, c).

    `encoder_width` is the size of one LSTM direction over the embedding's: 0.5 in the authors'
    LAMA code, 1 in their few-shot code. The backbone is frozen for LAMA, trained for SuperGLUE.
    `init_std` is the spread of the first weights; null starts them as torch and the authors do,
    rows from N(0, 1).
    """

    slot_length: int
    encoder: EncoderName
    encoder_width: float
    frozen: bool
    init_std: float | None = None
    template: list[int] | None = None

    title: ClassVar[str] = "P-tuning v1"

    @property
    def name(self) -> str:
        return f"{self.title}, backbone {'frozen' if self.frozen else 'tuned'}"

    @property
    def trains_backbone(self) -> bool:
        return not self.frozen

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        kind = self._kind(backbone, kind)
        return Adapted(
            kind,
            backbone,
            InputPrompt(self._encoder(kind.template.pseudo_tokens, backbone.words.embedding_dim)),
            kind.head(backbone),
            frozen=self.frozen,
            backbone_dropout=self.backbone_dropout,
        )

    def _kind(self, backbone: Backbone, kind: Kind) -> Kind:
        if backbone.fills_masks and isinstance(kind, Classification) and kind.words:
            return Cloze.of(kind, self._slots)
        return kind.patterned(self._slots)

    @property
    def _slots(self) -> Slots:
        return self.slot_length if self.template is None else tuple(self.template)

    def _encoder(self, length: int, width: int) -> Encoder:
        if self.encoder is EncoderName.mlp:
            return MLP(length, width, width, width, nn.ReLU(), self.init_std)
        return LSTM(length, width, round(self.encoder_width * width), self.init_std)
