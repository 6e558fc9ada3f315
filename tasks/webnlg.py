"""WebNLG 2017: sentences that tell the facts of up to seven triples."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Generation
from ptbench.metrics import BLEU, TER, ChrF, StemMETEOR
from ptbench.task import Writing


def linearised(row: Row) -> Row | list[Row]:
    """`s | p | o` as prefix-tuning's `| s : p : o`, one behind the other; no row without a text."""
    triples = [
        " : ".join(part.strip() for part in triple.split(" | "))
        for triple in row["modified_triple_sets"]["mtriple_set"][0]
    ]
    texts = [text for text in row["lex"]["text"] if text.strip()]
    told = " ".join(f"| {triple}" for triple in triples)
    return {"category": row["category"], "triples": told, "texts": texts} if texts else []


@dataclass(frozen=True)
class WebNLG(Writing):
    """Gardent et al. 2017; seen and unseen categories together. METEOR without synonyms.

    The hub's test split holds the entries of unseen categories twice, and all once more without a
    text; those without are dropped, and entries of one source are scored as one.
    """

    source: ClassVar[Source] = Hub(
        "webnlg",
        hub="webnlg-challenge/web_nlg",
        config="webnlg_challenge_2017",
        revision="refs/convert/parquet",
        splits={"validation": "dev"},
        convert=linearised,
        sizes={"train": 6940, "validation": 872},
    )
    kind: ClassVar[Generation] = Generation(
        text="{triples}",
        pattern="[P] {triples} [P]",
        target="texts",
        metrics=(BLEU, TER, ChrF, StemMETEOR),
    )
    selected: ClassVar[str | None] = "validation"
