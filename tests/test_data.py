"""Rows from local files: which are trained on, which choose, which are reported."""

import os
from pathlib import Path

import pytest

from ptbench import listing
from ptbench.errors import DataError, NoData
from ptbench.task import Splits
from tests.runs import built, reviews, write_rows

REAL = os.environ.get("PTBENCH_DATA")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_rows(tmp_path / "sst2" / "train.jsonl", reviews(50))
    write_rows(tmp_path / "sst2" / "validation.jsonl", reviews(8))
    return tmp_path


def splits(root: Path, *overrides: str) -> Splits:
    cell = built("task=sst2", "model=tiny", f"data.root={root}", *overrides)
    return cell.task.splits(cell.data, cell.protocol)


def texts(rows: list[dict[str, str]]) -> list[str]:
    return [row["sentence"] for row in rows]


def test_fair_holds_rows_of_train_out_where_no_other_split_can_choose(root: Path) -> None:
    found = splits(root)
    assert (found.select_name, found.report_name) == ("held out", "validation")
    assert (len(found.train), len(found.select), len(found.report)) == (40, 10, 8)
    both = texts(found.train) + texts(found.select)
    assert sorted(both) == sorted(texts(reviews(50)))


def test_paper_chooses_on_the_reported_split_and_trains_on_all(root: Path) -> None:
    found = splits(root, "protocol=paper")
    assert (found.select_name, found.report_name) == ("validation", "validation")
    assert found.select == found.report
    assert len(found.train) == 50


def test_a_search_never_opens_the_reported_split(root: Path) -> None:
    (root / "sst2" / "validation.jsonl").unlink()
    found = splits(root, "protocol=search")
    assert (found.select_name, found.report_name) == ("held out", "held out")
    assert found.select == found.report


def test_another_split_can_be_trained_on_but_not_one_that_is_looked_at(root: Path) -> None:
    (root / "sst2" / "train.jsonl").unlink()
    found = splits(root, "protocol=search", "data.train_split=validation")
    both = texts(found.train) + texts(found.report)
    assert sorted(both) == sorted(texts(reviews(8)))
    with pytest.raises(DataError, match=r"data.train_split=validation is looked at too .*search"):
        splits(root, "data.train_split=validation")


def test_train_rows_counts_those_trained_on_and_fewer_are_among_more(root: Path) -> None:
    few, more = (splits(root, f"data.train_rows={n}", "protocol=paper") for n in (10, 20))
    assert texts(more.train)[:10] == texts(few.train)
    assert len(splits(root, "data.train_rows=20").train) == 20
    assert len(splits(root, "data.train_rows=20").select) == 5


def test_eval_rows_counts_those_answered_of_both_splits(root: Path) -> None:
    few, all_rows = (splits(root, f"data.eval_rows={n}") for n in (3, "null"))
    assert (len(few.select), len(few.report)) == (3, 3)
    assert {*texts(few.report)} < {*texts(all_rows.report)}
    assert few.train == all_rows.train
    assert few == splits(root, "data.eval_rows=3", "seed=1")
    with pytest.raises(DataError, match=r"data.eval_rows=0: must be 1 or more, or null for all"):
        splits(root, "data.eval_rows=0")


def test_more_train_rows_than_there_are_is_said(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(splits(root, "data.train_rows=40").train) == 40
    assert caplog.text == ""
    assert len(splits(root, "data.train_rows=100").train) == 40
    said = "SST2: data.train_rows=100, but train has 50 rows and 10 of them are held out: "
    assert f"{said}training on 40" in caplog.text


def test_rows_of_one_source_are_held_out_together(tmp_path: Path) -> None:
    rows = [
        {"meaning_representation": f"name[A{n % 7}]", "human_reference": f"text {n}"}
        for n in range(70)
    ]
    write_rows(tmp_path / "e2e_nlg" / "train.jsonl", rows)
    found = splits(tmp_path, "task=e2e", "protocol=search")
    train, held = ({row["attributes"] for row in part} for part in (found.train, found.report))
    assert not train & held
    assert len(train | held) == 7
    assert len(found.train) + sum(len(row["human_reference"]) for row in found.report) == 70


def test_the_seed_does_not_change_which_rows_are_taken(root: Path) -> None:
    assert splits(root, "data.train_rows=20") == splits(root, "data.train_rows=20", "seed=1")


def test_labels_by_name_are_the_labels_by_number(root: Path) -> None:
    named = [{**row, "label": ("negative", "positive")[row["label"]]} for row in reviews(8)]
    write_rows(root / "sst2" / "validation.jsonl", named)
    kind = built("task=sst2", "model=tiny").task.kind
    assert [kind.reference(row) for row in named] == [row["label"] for row in reviews(8)]


def test_a_folder_with_other_names_and_a_layout_to_convert(tmp_path: Path) -> None:
    row = {"tokens": ["Al", "B", "of", "C"], "slot_tags": ["B-artist", "I-artist", "O", "B-city"]}
    write_rows(tmp_path / "snips" / "dev.jsonl", [row])
    assert built("task=snips_slots", "model=tiny").task.source.rows("validation", tmp_path) == [row]

    entities = [{"start": 0, "end": 2, "type": "Peop"}, {"start": 3, "end": 4, "type": "Loc"}]
    write_rows(
        tmp_path / "conll04" / "test.jsonl", [{"tokens": row["tokens"], "entities": entities}]
    )
    (made,) = built("task=conll04", "model=tiny").task.source.rows("test", tmp_path)
    assert made["ner_tags"] == ["B-Peop", "I-Peop", "O", "B-Loc"]


@pytest.mark.skipif(REAL is None, reason="PTBENCH_DATA names no folder of real data")
@pytest.mark.parametrize("name", listing.choices("task"))
def test_real_rows_are_what_the_task_declares(name: str) -> None:
    cell = built(f"task={name}", "model=tiny", f"data.root={REAL}")
    try:
        found = cell.task.splits(cell.data, cell.protocol)
    except NoData as error:
        pytest.skip(str(error))  # the folder holds only some of the data sets
    assert min(len(found.train), len(found.select), len(found.report)) > 10
