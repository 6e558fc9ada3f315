"""Linear probe: the task's head alone, on a frozen backbone."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.backbones import Backbone
from ptbench.kinds import Kind
from ptbench.method import Adapted, Method
from ptbench.prompts import Prompt


@dataclass(frozen=True)
class LinearProbe(Method):
    """What the frozen backbone knows already."""

    title: ClassVar[str] = "linear probe"

    def adapt(self, backbone: Backbone, kind: Kind) -> Adapted:
        return Adapted(
            kind,
            backbone,
            Prompt(),
            kind.head(backbone),
            frozen=True,
            backbone_dropout=self.backbone_dropout,
        )
