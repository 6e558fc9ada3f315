"""The paper's values beside ours: worked by hand, unverified ones marked, missing ones told."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from ptbench import beside, paper, summary, tables
from ptbench.paper import COLUMNS
from ptbench.summary import Table
from ptbench.sweeps import Sweep
from tests.recorded import whole

AXES = {"task": ("cb", "rte"), "method": ("finetune", "ptuning_v2"), "seed": ("0", "1")}
VALUES = """
table2,bert-large,335,FT,CB,acc,94.6,seen,a book,cb,bert_large,finetune,,accuracy
table2,roberta-large,355,FT,CB,acc,98.2,recalled,a book,cb,roberta_large,finetune,,accuracy
table2,roberta-large,355,PT-2,CB,acc,100,recalled,a book,cb,roberta_large,ptuning_v2,,accuracy
table2,roberta-large,355,PT-2,RTE,F1,89.5,seen,a book,rte,roberta_large,ptuning_v2,,f1
table3,roberta-large,355,FT,CB,acc,1.5,seen,a book,cb,roberta_large,finetune,,accuracy
table4,roberta-large,355,PT-2,CB,P@1,50,seen,a book,cb,roberta_large,ptuning_v2,t.r=mean,accuracy
""".strip()


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper "book", kept in a folder of its own."""
    (tmp_path / "book.csv").write_text(f"{','.join(COLUMNS)}\n{VALUES}\n")
    monkeypatch.setattr(paper.facts, "__defaults__", (tmp_path,))
    monkeypatch.setattr(paper.file_of, "__defaults__", (tmp_path,))


def made(model: str, which: str | None = "book/table2", **axes: tuple[str, ...]) -> Table:
    """Fine-tuning has 90 and 92 on cb, P-tuning v2 99 and 99, and on rte 80 and 80."""
    sweep = Sweep("pair", "", {**AXES, "model": (model,), **axes}, which)
    scores = {("cb", "finetune"): (0.9, 0.92), ("cb", "ptuning_v2"): (0.99, 0.99)}
    scores[("rte", "ptuning_v2")] = (0.8, 0.8)
    return summary.table(
        [
            record(task, method, model, seed, score)
            for (task, method), pair in scores.items()
            for seed, score in enumerate(pair)
        ],
        sweep,
    )


def record(
    task: str, method: str, model: str, seed: int, score: float, **config: Any
) -> dict[str, Any]:
    cell = {"task": task, "model": model, "method": method, "seed": seed}
    found = whole(seed, score, cell=cell)
    return {**found, "config": {**found["config"], **config}}


def lines(table: Table) -> list[list[str]]:
    section = beside.section(table)
    assert section is not None
    return section.lines


def test_the_difference_is_ours_less_the_papers_on_the_same_backbone() -> None:
    assert lines(made("roberta_large")) == [
        ["method", "task", "ours", "paper", "difference"],
        ["-", "cb (accuracy)", "91.0 ± 1.4", "98.2 ‡", "-7.2"],
        ["-", "rte (accuracy)", "-", "-", "-"],
        ["-", "cb (accuracy)", "99.0 ± 0.0", "100.0 ‡", "-1.0"],
        ["-", "rte (accuracy)", "80.0 ± 0.0", "89.5 §", "-"],
    ]


def test_unverified_values_and_other_scores_are_told_in_the_caption() -> None:
    text = tables.to_markdown(made("roberta_large"))
    assert "## Beside the paper" in text
    assert "- Paper: a book, table2. Difference: our mean less the paper's value" in text
    assert "- ‡: unverified, recalled and not seen in a copy of the paper.\n" in text
    assert "- §: by another score (f1).\n" in text


def test_on_other_backbones_the_smallest_of_the_paper_is_a_reference_without_a_difference() -> None:
    table = made("minilm")
    assert lines(table)[:2] == [
        ["method", "task", "ours", "paper", "the paper's backbone"],
        ["-", "cb (accuracy)", "91.0 ± 1.4", "94.6", "bert-large"],
    ]
    assert "backbones and data differ from ours" in tables.to_markdown(table)


def test_a_value_that_is_a_mean_over_a_setting_stands_beside_our_mean() -> None:
    sweep = Sweep(
        "pair",
        "",
        {"task": ("cb",), "method": ("ptuning_v2",), "seed": ("0",), "model": ("roberta_large",)}
        | {"t.r": ("a", "b", "c")},
        "book/table4",
    )
    some = [
        record("cb", "ptuning_v2", "roberta_large", 0, score, t={"r": r})
        for r, score in (("a", 0.4), ("b", 0.5))
    ]
    table = summary.table(some, sweep)
    assert lines(table)[1:] == [["-", "cb (accuracy)", "45.0 (mean of 2 of 3)", "50.0", "-5.0"]]
    assert "mean over t.r, and so is ours" in tables.to_markdown(table)
    assert {line["paper"] for line in csv.DictReader(io.StringIO(tables.to_csv(table)))} == {""}


def test_missing_values_are_told_with_task_model_method_file_and_remedy(tmp_path: Path) -> None:
    (said,) = beside.missing(made("roberta_large"))
    assert said.startswith(
        "book/table2 has no value for task rte, model roberta_large, method finetune; to add it, "
        f"write a line in {tmp_path / 'book.csv'}"
    )
    assert "task rte, model any, method finetune" in beside.missing(made("minilm"))[0]
    (said,) = beside.missing(made("minilm", "book/figure9"))
    assert said.startswith("book/figure9: none of its values are kept")


def test_a_setting_that_the_paper_lacks_is_missing() -> None:
    table = made("roberta_large", None)
    assert beside.missing(table) == [] and beside.section(table) is None
    assert beside.section(made("roberta_large", "book/figure9")) is None


def test_csv_has_the_papers_values_where_a_paper_is_named() -> None:
    found = list(csv.DictReader(io.StringIO(tables.to_csv(made("roberta_large")))))
    assert [(line["paper"], line["paper_evidence"], line["difference"]) for line in found] == [
        ("98.2", "recalled", "-7.2"),
        ("", "", ""),
        ("100", "recalled", "-1"),
        ("89.5", "seen", ""),
    ]
    assert "paper" not in tables.to_csv(made("roberta_large", None))
