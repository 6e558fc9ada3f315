"""Fine-tuning: every weight of the backbone trains, with the task's head."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.backbones import Backbone
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import Prompt


@dataclass(frozen=True)
class Finetune(Method):
    """Full fine-tuning."""

    title: ClassVar[str] = "fine-tuning"

    @property
    def trains_backbone(self) -> bool:
        return True

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        return Adapted(
            kind,
            backbone,
            Prompt(),
            kind.head(backbone),
            frozen=False,
            backbone_dropout=self.backbone_dropout,
        )
