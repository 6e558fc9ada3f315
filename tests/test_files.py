"""The same rows from JSON lines, Parquet and CSV; what is broken is named by file and line."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from ptbench.data import Hub
from ptbench.errors import DataError
from ptbench.files import read, write_jsonl
from tests.runs import built, reviews

Rows = list[dict[str, Any]]
NAMED = [
    {"tokens": ["Al", ",", "B"], "ner_tags": ["B-PER", "O", "O"], "text": 'a, "b"\nc', "n": 1},
    {"tokens": ["C"], "ner_tags": ["O"], "text": "7", "n": 2},
]


def write_parquet(file: Path, rows: Rows, features: Features | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=features).to_parquet(str(file))


def write_csv(file: Path, rows: Rows) -> None:
    """Lists as JSON, which their Python form is too but for its quotes."""
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        for row in rows:
            texts = {k: str(v).replace("'", '"') for k, v in row.items() if isinstance(v, list)}
            writer.writerow({**row, **texts})


WRITERS: dict[str, Callable[[Path, Rows], Any]] = {
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "csv": write_csv,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_form_gives_the_rows_that_were_written(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"train.{suffix}"
    WRITERS[suffix](file, NAMED)
    assert [row for _, row in read(file)] == NAMED


PLACES = {
    "jsonl": ["train.jsonl, line 1", "train.jsonl, line 2"],
    "parquet": ["train.parquet, row 1", "train.parquet, row 2"],
    "csv": ["train.csv, line 2", "train.csv, line 4"],
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_places_are_those_an_editor_shows(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"train.{suffix}"
    WRITERS[suffix](file, NAMED)
    assert [place.removeprefix(f"{tmp_path}/") for place, _ in read(file)] == PLACES[suffix]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_task_reads_any_of_them_and_tells_their_contents_apart(
    tmp_path: Path, suffix: str
) -> None:
    rows = reviews(6)
    (tmp_path / "sst2").mkdir()
    WRITERS[suffix](tmp_path / "sst2" / f"train.{suffix}", rows)
    source = built("task=sst2", "model=tiny").task.source
    assert source.rows("train", tmp_path) == rows
    first = source.identity(tmp_path)
    WRITERS[suffix](tmp_path / "sst2" / f"train.{suffix}", rows[:5])
    assert source.identity(tmp_path) != first


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl"):
        (tmp_path / "sst2").mkdir(exist_ok=True)
        WRITERS[suffix](tmp_path / "sst2" / f"train.{suffix}", reviews(2))
    with pytest.raises(DataError, match=r"holds train\.csv and train\.jsonl; keep one of them"):
        Hub("sst2").rows("train", tmp_path)


BROKEN = {
    "a.jsonl": (b'{"a": 1}\n{"a": "\xff"}\n', "a.jsonl, line 2: not JSON ('utf-8' codec can't"),
    "b.jsonl": (b'{"a": 1}\n\n', "b.jsonl, line 2: not JSON (Expecting value"),
    "c.csv": (b'a,b\n"x\ny",2\n3\n', "c.csv, line 4: not as many cells as the header has columns"),
    "d.csv": (b"a,b\n1,2,3\n", "d.csv, line 2: not as many cells"),
    "e.csv": (b'a,b\n1,"2" 3\n', "e.csv, line 2: not CSV ("),
    "f.csv": (b"a,b\n\xff,2\n", "f.csv, line 2: not CSV ('utf-8' codec can't decode byte"),
    "g.parquet": (b"PAR1 or so", "g.parquet is no whole Parquet file ("),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_the_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name][0])
    with pytest.raises(DataError, match=re.escape(BROKEN[name][1])):
        list(read(tmp_path / name))


def test_rows_that_fail_while_written_leave_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [{"a": 1}])

    def failing() -> Any:
        yield {"a": 2}
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        write_jsonl(file, failing())
    assert file.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [file]


def typed(names: list[str]) -> Features:
    return Features({"sentence": Value("string"), "label": ClassLabel(names=names)})


def refused(root: Path, task: str) -> str:
    cell = built(f"task={task}", "model=tiny", f"data.root={root}", "protocol=paper")
    with pytest.raises(DataError) as caught:
        cell.task.splits(cell.data, cell.protocol)
    return str(caught.value)


def test_labels_that_a_parquet_file_numbers_otherwise_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "sst2" / "train.parquet"
    write_parquet(file, reviews(4), typed(["positive", "negative"]))
    assert refused(tmp_path, "sst2") == (
        "SST2, split 'train': column 'label' numbers its labels 0 positive, 1 negative, but the "
        "task has 0 negative, 1 positive; give the labels by name, or number them in the task's "
        "order"
    )


def test_labels_of_words_are_compared_too(tmp_path: Path) -> None:
    tags = List(ClassLabel(names=["O", "B-group", "I-group"]))
    features = Features({"tokens": List(Value("string")), "ner_tags": tags})
    rows = [{"tokens": ["a"], "ner_tags": [1]}]
    write_parquet(tmp_path / "wnut17" / "train.parquet", rows, features)
    assert "numbers its labels 0 O, 1 B-group, 2 I-group, but" in refused(tmp_path, "wnut17")


def test_the_right_order_and_names_of_another_spelling_pass(tmp_path: Path) -> None:
    for names in (["negative", "positive"], ["neg", "pos"]):
        for split in ("train", "validation"):
            write_parquet(tmp_path / "sst2" / f"{split}.parquet", reviews(4), typed(names))
        cell = built("task=sst2", "model=tiny", f"data.root={tmp_path}", "protocol=paper")
        assert len(cell.task.splits(cell.data, cell.protocol).train) == 4


def test_a_dataset_info_beside_json_lines_says_the_order_as_well(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "sst2" / "train.jsonl", reviews(4))
    data = Dataset.from_list(reviews(4), features=typed(["positive", "negative"]))
    data.info.write_to_directory(str(tmp_path / "sst2"))
    assert "numbers its labels 0 positive, 1 negative" in refused(tmp_path, "sst2")
    named = [{**row, "label": "positive"} for row in reviews(4)]
    for split in ("train", "validation"):
        write_jsonl(tmp_path / "sst2" / f"{split}.jsonl", named)
    cell = built("task=sst2", "model=tiny", f"data.root={tmp_path}", "protocol=paper")
    assert len(cell.task.splits(cell.data, cell.protocol).train) == 4


CONVERTED = {
    "'entities' is missing; the row has tokens; mend or drop the row": {"tokens": ["a"]},
    "not of the form of DFKI-SLT/conll04 (": {
        "tokens": ["a"],
        "entities": [{"start": 0, "end": 9, "type": "Loc"}],
    },
}


@pytest.mark.parametrize("message", CONVERTED)
def test_a_row_that_cannot_be_converted_is_named(tmp_path: Path, message: str) -> None:
    write_jsonl(tmp_path / "conll04" / "train.jsonl", [CONVERTED[message]])
    said = refused(tmp_path, "conll04")
    assert said.startswith(f"{tmp_path}/conll04/train.jsonl, line 1: ")
    assert message in said


def test_a_row_may_become_several_or_none(tmp_path: Path) -> None:
    document = [
        {"words": ["Al", "."], "named_entities": [1, 0]},
        {"words": ["a"], "named_entities": [0]},
    ]
    write_jsonl(tmp_path / "ontonotes" / "train.jsonl", [{"sentences": document}])
    task = built("task=ontonotes", "model=tiny").task
    assert [row["tokens"] for row in task.source.rows("train", tmp_path)] == [["Al", "."], ["a"]]
    rows = [{"tokens": words, "chunk_tags": [0] * len(words)} for words in ([], ["a"], [])]
    write_jsonl(tmp_path / "conll2000" / "test.jsonl", rows)
    task = built("task=conll2000", "model=tiny").task
    (placed,) = task.source.placed("test", tmp_path)
    assert placed == (f"{tmp_path}/conll2000/test.jsonl, line 2", rows[1])
