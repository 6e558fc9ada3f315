"""`ptbench data check`: right data pass, and each fault is one line with its remedy."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ptbench import cli, data_report
from ptbench.backbones import Pooling
from ptbench.data_check import check
from ptbench.doctor import Status
from ptbench.errors import BackboneError
from ptbench.models import Pretrained, Random
from tests.runs import built, reviews, write_rows

SIZES = {"train": 12, "validation": 4, "test": 2}


def task(name: str, *overrides: str) -> Any:
    return built(f"task={name}", "model=tiny", *overrides).task


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SST-2 as it should be, were it of these sizes."""
    source = type(task("sst2")).source
    monkeypatch.setitem(source.sizes, "train", SIZES["train"])
    monkeypatch.setitem(source.sizes, "validation", SIZES["validation"])
    monkeypatch.setitem(source.sizes, "test", SIZES["test"])
    rows = reviews(sum(SIZES.values()))
    parts = {"train": rows[:12], "validation": rows[12:16], "test": rows[16:]}
    parts["test"] = [{**row, "label": -1} for row in parts["test"]]
    for split, part in parts.items():
        write_rows(tmp_path / "sst2" / f"{split}.jsonl", part)
    return tmp_path


def found(
    root: Path, tiny: Random, *names: str, strict: bool = True, changes: tuple[str, ...] = ()
) -> data_report.Report:
    tasks = {name: task(name, *changes) for name in names or ("sst2",)}
    return check(tasks, root, tiny.load(), strict)


def lines(report: data_report.Report, status: Status) -> list[str]:
    return [f"{f.name}: {f.detail}" for f in report.findings if f.status is status]


def printed(report: data_report.Report, root: Path) -> tuple[int, str]:
    out = io.StringIO()
    status = data_report.show(report, root, Console(file=out, width=160))
    return status, out.getvalue()


def test_right_data_pass_and_are_described(root: Path, tiny: Random) -> None:
    report = found(root, tiny)
    assert report.findings == []
    status, said = printed(report, root)
    assert status == 0
    table = [line.split() for line in said.splitlines()]
    # a piece a letter: `a dull film 10` has 1 + 4 + 4 + 2, and [CLS] and [SEP]
    assert table[1] == ["sst2", "train", "12", "12", "13", "negative", "50%,", "positive", "50%"]
    assert table[3] == ["sst2", "test", "2", "2", "13", "not", "used"]
    assert said.endswith("3 splits, 0 faults\n")


def test_a_missing_split_is_a_fault_of_a_task_that_is_asked_for(root: Path, tiny: Random) -> None:
    (root / "sst2" / "train.jsonl").unlink()
    assert lines(found(root, tiny), Status.FAIL) == ["sst2 train: not there"]
    assert lines(found(root, tiny, strict=False), Status.WARN) == ["sst2 train: not there"]
    (root / "sst2" / "test.jsonl").unlink()
    assert lines(found(root, tiny), Status.WARN) == ["sst2 test: not there"]


def test_tasks_that_are_not_there_are_named_in_one_line(root: Path, tiny: Random) -> None:
    report = found(root, tiny, "sst2", "trec", "rte", strict=False)
    assert report.absent == ["trec", "rte"]
    assert printed(report, root)[0] == 0
    assert f"not in {root}: trec, rte\n" in printed(report, root)[1]
    assert len(lines(found(root, tiny, "trec"), Status.FAIL)) == 2


def test_other_counts_than_the_official_ones(root: Path, tiny: Random) -> None:
    write_rows(root / "sst2" / "validation.jsonl", reviews(20)[12:15])
    (said,) = lines(found(root, tiny), Status.FAIL)
    assert said == "sst2 validation: 3 rows, officially 4"


def test_broken_rows_are_named_and_counted(root: Path, tiny: Random) -> None:
    file = root / "sst2" / "train.jsonl"
    bad = [{"text": "a"}, {"sentence": " ", "label": 0}, {"sentence": "a", "label": "meh"}]
    write_rows(file, [*reviews(7), *bad, {"sentence": "b", "label": 3}, {"sentence": "c"}])
    report = found(root, tiny)
    said = lines(report, Status.FAIL)
    assert len(said) == 4
    assert said[0] == (f"sst2 train: {file}, line 8: column 'sentence' is missing; it has text")
    assert f"{file}, line 9: 'sentence' is empty" in said[1]
    assert f"{file}, line 10: label 'meh' in 'label' is unknown" in said[2]
    assert f"2 more broken rows, the last at {file}, line 12: column 'label' is" in said[3]
    assert all(finding.remedy for finding in report.findings)
    status, text = printed(report, root)
    assert status == 1
    assert len(text.splitlines()) == 1 + 3 + 4 + 1  # however long a finding is
    assert text.endswith("3 splits, 4 faults\n")


def test_a_file_that_cannot_be_read_is_one_fault(root: Path, tiny: Random) -> None:
    file = root / "sst2" / "train.jsonl"
    file.write_text('{"sentence": "a", "label": 0}\n{"sen\n')
    for strict in (True, False):
        (said,) = lines(found(root, tiny, strict=strict), Status.FAIL)
        assert said.startswith(f"sst2 train: {file}, line 2: not JSON")
    for split in ("validation", "test"):
        (root / "sst2" / f"{split}.jsonl").unlink()
    assert len(lines(found(root, tiny, strict=False), Status.FAIL)) == 1


def test_texts_that_stand_twice_or_in_two_splits(root: Path, tiny: Random) -> None:
    rows = reviews(11)
    write_rows(root / "sst2" / "train.jsonl", [*rows, {**rows[0], "label": 1}])
    write_rows(root / "sst2" / "validation.jsonl", [rows[2], *reviews(16)[13:]])
    report = found(root, tiny)
    assert lines(report, Status.WARN) == [
        "sst2 train: 1 of 12 rows (8.3%) repeat the text of another; texts with different "
        "answers: 1",
        "sst2 validation: 1 of 4 texts (25.0%) are also in train",
    ]
    write_rows(root / "sst2" / "validation.jsonl", rows[:4])
    (said,) = lines(found(root, tiny), Status.FAIL)
    assert said == "sst2 validation: 4 of 4 texts (100.0%) are also in train"


def test_texts_longer_than_the_task_or_the_model_takes(root: Path, tiny: Random) -> None:
    report = found(root, tiny, changes=("task.max_length=12",))
    train, validation, test = report.findings
    assert train.detail == "2 of 12 rows (16.7%) are longer than task.max_length=12"
    assert train.remedy.endswith("raise task.max_length, at most 256 here")
    assert (validation.detail[:6], test.detail[:6]) == ("4 of 4", "2 of 2")
    write_rows(root / "sst2" / "test.jsonl", [{"sentence": "a " * n} for n in (254, 255)])
    *_, test = found(root, tiny, changes=("task.max_length=256",)).findings
    assert test.detail == "1 of 2 rows (50.0%) are longer than task.max_length=256"
    assert test.remedy.endswith("take a model of more than 256 positions")
    report = found(root, tiny, changes=("task.max_length=300",))
    (said,) = lines(report, Status.FAIL)
    assert said == "sst2: task.max_length=300 is more than this model's 256 positions"


def test_labels_that_never_occur(root: Path, tiny: Random) -> None:
    write_rows(root / "sst2" / "validation.jsonl", reviews(30)[21::2][:4])
    (said,) = lines(found(root, tiny), Status.WARN)
    assert said == "sst2 validation: labels that never occur: negative"


def words(tags: list[int]) -> dict[str, Any]:
    return {"id": "0", "tokens": [f"w{n}" for n in range(len(tags))], "ner_tags": tags}


def test_labels_of_words_in_another_order_or_scheme(tmp_path: Path, tiny: Random) -> None:
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / "uner_ewt" / f"{split}.jsonl", [words([0, 1, 2, 0, 3])])
    write_rows(tmp_path / "uner_ewt" / "train.jsonl", [words([0, 1]), words([0, 2, 2])])
    said = lines(found(tmp_path, tiny, "uner"), Status.FAIL)
    assert said[0] == (
        "uner train: 1 rows have an I- label that continues nothing, first "
        f"{tmp_path}/uner_ewt/train.jsonl, line 2"
    )
    assert said[1:] == [
        "uner validation: 1 rows, officially 2,001",
        "uner test: 1 rows, officially 2,077",
        "uner test: 1 of 1 texts (100.0%) are also in validation",
    ]


def test_a_sentence_is_one_text_for_each_of_its_predicates(tmp_path: Path, tiny: Random) -> None:
    tags = {0: ["B-V", "B-A1", "O"], 2: ["O", "O", "B-V"]}
    rows = [
        {"tokens": ["is", "it", "is"], "predicate_index": index, "srl_tags": tags[index]}
        for index in (0, 2)
    ]
    for split in ("train", "validation", "test_wsj"):
        write_rows(tmp_path / "conll05" / f"{split}.jsonl", rows if split == "train" else rows[:1])
    report = found(tmp_path, tiny, "conll05")
    assert not [line for line in lines(report, Status.WARN) if "repeat" in line]
    said = lines(report, Status.FAIL)
    assert said == [
        "conll05 validation: 1 of 1 texts (100.0%) are also in train",
        "conll05 test: 1 of 1 texts (100.0%) are also in train",
        "conll05 test: 1 of 1 texts (100.0%) are also in validation",
    ]


@pytest.mark.parametrize("name", ["pocket_sentiment", "pocket_ner"])
def test_the_pocket_data_pass(name: str, tiny: Random) -> None:
    report = found(Path("nowhere"), tiny, name, changes=("task.max_length=256",))
    assert lines(report, Status.FAIL) == []
    assert [part.read for part in report.parts] == [1000, 500, 500]


def test_pieces_are_counted_without_the_weights(tmp_path: Path, tiny: Random) -> None:
    backbone = tiny.load()
    backbone.model.config.save_pretrained(tmp_path)
    backbone.tokenizer.save_pretrained(tmp_path)
    given: dict[str, Any] = {
        "pooling": Pooling.first,
        "lm_head": True,
        "revision": None,
        "attention": "sdpa",
    }
    outline = Pretrained(name=str(tmp_path), gradient_checkpointing=False, **given).outline()
    assert outline.position_limit == backbone.position_limit
    assert outline.tokenizer("a film") == backbone.tokenizer("a film")
    assert {parameter.device.type for parameter in outline.parameters()} == {"meta"}
    absent = Pretrained(name="nobody/nothing", gradient_checkpointing=False, **given)
    with pytest.raises(BackboneError, match=r"model\.name=nobody/nothing: not found on the hub"):
        absent.outline()


def test_the_command(root: Path) -> None:
    runner = CliRunner()
    arguments = ["data", "check", "sst2", "--root", str(root), "--model", "tiny"]
    assert runner.invoke(cli.app, arguments).exit_code == 0
    (root / "sst2" / "train.jsonl").unlink()
    done = runner.invoke(cli.app, arguments)
    assert done.exit_code == 1
    assert "fail sst2 train: not there -> " in done.output
    done = runner.invoke(cli.app, ["data", "check", "ssst2", "--root", str(root)])
    assert "task=ssst2: there is no such file in task; did you mean 'sst2'?" in str(done.exception)
