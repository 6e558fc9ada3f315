"""E2E NLG: a restaurant described from its attributes."""

import re
from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Generation
from ptbench.metrics import NIST, CaptionROUGE, CIDEr, StemMETEOR, UncasedBLEU
from ptbench.task import Writing


def attributes(row: Row) -> Row:
    """`name[Alimentum], area[city centre]` as prefix-tuning's `name : Alimentum | area : ...`."""
    pairs = re.findall(r"(\w[\w ]*)\[([^\]]*)\]", row["meaning_representation"])
    return {**row, "attributes": " | ".join(f"{name} : {value}" for name, value in pairs)}


@dataclass(frozen=True)
class E2E(Writing):
    """Novikova et al. 2017, with its script's scores, METEOR in part, against all texts."""

    source: ClassVar[Source] = Hub(
        "e2e_nlg",
        hub="tuetschek/e2e_nlg",
        config="default",
        revision="refs/convert/parquet",
        convert=attributes,
        sizes={"train": 42061, "validation": 4672, "test": 4693},
    )
    kind: ClassVar[Generation] = Generation(
        text="{attributes}",
        pattern="[P] {attributes} [P]",
        target="human_reference",
        metrics=(UncasedBLEU, NIST, CaptionROUGE, CIDEr, StemMETEOR),
        main_metric="bleu_uncased",
    )
    selected: ClassVar[str | None] = "validation"
