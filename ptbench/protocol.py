"""Which rows choose the checkpoint and which are reported."""

from dataclasses import dataclass
from enum import StrEnum

HELD_OUT = "held out"


class Selection(StrEnum):
    """Where the checkpoint is chosen."""

    reported = "reported"  # best epoch on the reported split, as the papers did
    apart = "apart"  # on another split, or rows held out of train; reported is seen once
    within = "within"  # on rows held out of train, and these are reported: for searches


@dataclass(frozen=True)
class Protocol:
    """How selection and report divide the data.

    `held_out_share` is the number of rows held out of train, over the number trained on.
    """

    name: str
    selection: Selection
    held_out_share: float

    def select(self, reported: str, selected: str | None) -> str:
        """The split that chooses, for a task that reports one and may have another to select on."""
        if self.selection is Selection.reported:
            return reported
        return HELD_OUT if self.selection is Selection.within else selected or HELD_OUT

    def report(self, reported: str) -> str:
        """The split that is reported."""
        return HELD_OUT if self.selection is Selection.within else reported
