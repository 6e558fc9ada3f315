"""XSum: a news article told in one sentence."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Generation
from ptbench.metrics import ROUGE
from ptbench.task import Writing


def unless_empty(row: Row) -> Row | list[Row]:
    """The row, or none."""
    return row if row["document"].strip() and row["summary"].strip() else []


@dataclass(frozen=True)
class XSum(Writing):
    """Narayan et al. 2018; a row whose article is empty is dropped."""

    source: ClassVar[Source] = Hub(
        "xsum",
        hub="EdinburghNLP/xsum",
        config="default",
        revision="refs/convert/parquet",
        convert=unless_empty,
    )
    kind: ClassVar[Generation] = Generation(
        text="{document}",
        pattern="[P] {document} [P]",
        target="summary",
        metrics=(ROUGE,),
        main_metric="rougeL",
    )
    selected: ClassVar[str | None] = "validation"
