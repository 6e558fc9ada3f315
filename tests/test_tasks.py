"""The declarations in tasks/: what they score and what they make of a row."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import List, Value

from ptbench.build import chosen
from ptbench.data import Data, Hub
from ptbench.errors import ConfigError, NoData
from ptbench.kinds import Kind
from ptbench.listing import choices
from ptbench.paths import ROOT
from ptbench.task import Task
from tests.runs import built, write_rows

NAMES = list(choices("task"))
TABLE = re.compile(r"^\| `task=` .*?^$", re.MULTILINE | re.DOTALL)
MADE = {"int64": (0, 1), "float64": (1.5, 2.5), "string": ("B-A0", "B-V")}


def kinds(name: str) -> list[Kind]:
    """The kind of a task, or of each that it is made of."""
    task = chosen("task", name, Task)
    return [part.asks for part in task.members.values() or [task]]


def sample(form: Any, number: int) -> Any:
    """One of two values of a metric's form."""
    if isinstance(form, Value):
        return MADE[form.dtype][number]
    if isinstance(form, List):
        return [sample(form.feature, number)]
    return {name: sample(inner, number) for name, inner in form.items()}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_metrics_of_a_task_share_a_name_and_the_first_has_the_main_one(name: str) -> None:
    for kind in kinds(name):
        named = []
        for metric in kind.metrics:
            made = metric(keep_in_memory=True)
            references = [sample(metric.reference, number) for number in range(2)]
            named.append(list(made.scores([*map(made.answer, references)], references)))
        together = [key for keys in named for key in keys]
        assert len(set(together)) == len(together)
        assert not kind.metrics or kind.main_metric in named[0]


GLUE = {
    # labels 0 0 1 1, found 0 1 1 1: F1 of label 1 is 4/5, MCC is 2 / sqrt(1 * 3 * 2 * 2)
    "cola": {"mcc": 1 / 3**0.5, "accuracy": 3 / 4},
    "mrpc": {"f1": 4 / 5, "accuracy": 3 / 4},
    "qqp": {"f1": 4 / 5, "accuracy": 3 / 4},
}


@pytest.mark.parametrize("name", GLUE)
def test_glue_is_scored_as_its_paper_scores_it(name: str) -> None:
    (kind,) = kinds(name)
    assert kind.score([0, 1, 1, 1], [0, 0, 1, 1]) == pytest.approx(GLUE[name])
    assert kind.main_metric == next(iter(GLUE[name]))


@pytest.mark.parametrize("name", ["conll05", "conll05_brown", "conll12", "up_ewt_srl"])
def test_roles_are_scored_without_v_and_beside_it_with_v(name: str) -> None:
    (kind,) = kinds(name)
    gold = [["B-A0", "B-V", "B-A1", "I-A1"]]
    found = [["B-A0", "B-V", "B-A1", "O"]]
    scores = kind.score(found, gold)
    assert (scores["srl_f1"], scores["f1"]) == pytest.approx((1 / 2, 2 / 3))
    assert kind.main_metric == "srl_f1"


def rows(name: str, row: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """What the task makes of a row of a local file."""
    task = chosen("task", name, Task)
    assert isinstance(task.origin, Hub)
    write_rows(folder / task.origin.folder / "train.jsonl", [row])
    return task.origin.rows("train", folder)


def test_webnlg_is_read_as_prefix_tuning_reads_it(tmp_path: Path) -> None:
    triples = ["Ulm | country | Germany", "Ulm | river | Danube"]
    row = {
        "category": "City",
        "modified_triple_sets": {"mtriple_set": [triples]},
        "lex": {"comment": ["good", "good"], "lid": ["1", "2"], "text": ["Ulm is so.", " "]},
    }
    (made,) = rows("webnlg", row, tmp_path)
    assert made["triples"] == "| Ulm : country : Germany | Ulm : river : Danube"
    assert made["texts"] == ["Ulm is so."]
    assert not rows("webnlg", {**row, "lex": {"text": []}}, tmp_path)


def test_dart_is_read_as_prefix_tuning_reads_it(tmp_path: Path) -> None:
    triples = [["Ulm", "COUNTRY", "Germany"], ["Ulm", "[TITLE]", "A city"]]
    row = {
        "tripleset": triples,
        "subtree_was_extended": False,
        "annotations": {"source": ["a", "b"], "text": ["Ulm is so.", "So is Ulm."]},
    }
    (made,) = rows("dart", row, tmp_path)
    assert made["triples"] == "Ulm : country : Germany | Ulm : [title] : A city"
    assert made["texts"] == ["Ulm is so.", "So is Ulm."]


def test_xsum_has_no_row_without_an_article(tmp_path: Path) -> None:
    row = {"document": "It rained.\nAll day.", "summary": "Rain.", "id": "1"}
    assert rows("xsum", row, tmp_path) == [row]
    assert not rows("xsum", {**row, "document": "\n"}, tmp_path)


def test_chinese_is_scored_by_characters() -> None:
    (kind,) = kinds("adgen")
    kind.check({"content": "\u7c7b\u578b#\u88e4", "summary": "\u88e4\u5b50"})
    scores = kind.score(["\u7ea2\u8272\u88e4\u5b50"], [["\u7ea2\u8272\u88d9\u5b50"]])
    assert scores["rouge1"] == pytest.approx(3 / 4)
    assert scores["rouge2"] == pytest.approx(1 / 3)
    assert 0 < scores["bleu_characters"] < 1


def few(folder: Path) -> Path:
    """FewGLUE's BoolQ and the validation split of BoolQ itself, as local files."""
    for file, count in (
        ("fewglue/boolq/train32", 4),
        ("fewglue/boolq/dev32", 3),
        ("boolq/validation", 2),
    ):
        rows = [
            {"question": f"is it {n}", "passage": f"It is {file} .", "label": n % 2}
            for n in range(count)
        ]
        write_rows(folder / f"{file}.jsonl", rows)
    return folder


def test_fewglue_trains_on_its_own_rows_and_reports_superglues(tmp_path: Path) -> None:
    task, protocol = (
        chosen("task", "fewglue_boolq", Task),
        built("model=tiny", "task=fewglue_boolq").protocol,
    )
    splits = task.splits(Data(str(few(tmp_path)), None), protocol)
    assert {row["passage"] for row in splits.train} == {"It is fewglue/boolq/train32 ."}
    assert (len(splits.train), len(splits.select), len(splits.report)) == (4, 3, 2)
    assert (splits.select_name, splits.report_name) == ("dev32", "validation")
    assert task.asks == chosen("task", "boolq", Task).asks
    assert task.origin.official() == {"train": 32, "dev32": 32, "validation": 3270}


@pytest.mark.parametrize("file", ["fewglue/boolq/train32", "fewglue/boolq/dev32"])
def test_fewglue_names_the_file_that_is_missing(tmp_path: Path, file: str) -> None:
    (few(tmp_path) / f"{file}.jsonl").unlink()
    task, protocol = (
        chosen("task", "fewglue_boolq", Task),
        built("model=tiny", "task=fewglue_boolq").protocol,
    )
    with pytest.raises(NoData, match=f"{file}.jsonl is missing"):
        task.splits(Data(str(tmp_path), None), protocol)
    with pytest.raises(
        NoData, match=r"'fewglue/boolq' is not on the hub; .* fewglue/boolq/train32"
    ):
        task.splits(Data(None, None), protocol)


def test_fewglue_identity_changes_with_the_files_it_reads(tmp_path: Path) -> None:
    task, before = chosen("task", "fewglue_boolq", Task), few(tmp_path)
    first = task.identity(Data(str(before), None))
    write_rows(tmp_path / "fewglue" / "boolq" / "dev32.jsonl", [])
    assert task.identity(Data(str(tmp_path), None)) != first


LENGTHS = {"boolq": 256, "cb": 256, "copa": 96, "multirc": 512, "record": 512, "rte": 256} | {
    "wic": 256,
    "wsc": 128,
}


def test_fewglue_has_the_kind_of_each_task_and_refuses_others() -> None:
    for name, length in LENGTHS.items():
        file = f"fewglue_{name}"
        task = chosen("task", file, Task)
        masks = ["task.masks=true"] if name in ("copa", "wsc") else []
        assert task.asks == chosen("task", name, Task, masks).asks
        named = built("model=tiny", "task=fewglue_boolq", f"task.name={name}").task
        assert task == replace(named, max_length=length, masks=bool(masks))
    with pytest.raises(ConfigError, match=r"task\.name=sst2: known: boolq"):
        built("model=tiny", "task=fewglue_boolq", "task.name=sst2")


def test_wic_and_wsc_read_either_text_of_the_authors() -> None:
    wic = {"word": "bank", "sentence1": "A bank .", "sentence2": "Banks ."}
    wsc = {"text": "Mark told Pete that he won .", "span2_index": 4, "span1_text": "Mark"}
    texts = [
        ("wic", 0, wic, "A bank . Banks . Does bank have the same meaning in both sentences?"),
        ("wic", 1, wic, "bank: A bank .[SEP]bank: Banks ."),
        ("wsc", 0, {**wsc, "span2_text": "he"}, "he: Mark told Pete that he won .[SEP]Mark"),
        ("wsc", 1, {**wsc, "span2_text": "he"}, "Mark told Pete that *he* won .[SEP]Mark"),
    ]
    for name, number, row, text in texts:
        task = chosen("task", name, Task, [f"task.template={number}"])
        convert = getattr(task.origin, "convert", None) or dict
        assert task.asks.text.format(**convert(row)) == text
    with pytest.raises(ConfigError, match=r"task\.template=2: known: 0, 1"):
        chosen("task", "wic", Task, ["task.template=2"])
    with pytest.raises(ConfigError, match=r"'template=1' is no setting of the task: write task\."):
        chosen("task", "wic", Task, ["template=1"])


def test_the_readme_has_every_task_in_its_table_and_no_other() -> None:
    found = TABLE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    first = [line.split("|")[1] for line in found.group().splitlines()[2:]]
    assert sorted(name for cell in first for name in re.findall(r"`(\w+)`", cell)) == sorted(NAMES)
