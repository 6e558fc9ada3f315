"""The papers' figures: every file is sound, every fault is named, and each finds its place."""

import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ptbench import cli, paper, records, sweeps, tables
from ptbench.paper import COLUMNS, SOURCE, PaperError
from ptbench.paths import CONF, PAPER
from ptbench.sweeps import Place, Sweep
from tests.test_tables import SWEEP, record

FILES = sorted(PAPER.glob("*.csv"))
HEADER = ",".join((*COLUMNS, *SOURCE))
ROWS = (
    "table1,red,tiny,finetune,,accuracy,points,91.5,seen,Table 1: FT",
    "table1,red,tiny,ptuning_v2,,accuracy,plain,0.86,recalled,Table 1: PT-2",
    "table1,blue,tiny,finetune,,accuracy,points,OOM,seen,Table 1: FT",
    "table2,red,tiny,ptuning_v2,start=several method.length=10,accuracy,points,1,seen,T",
    "table2,red,tiny,ptuning_v2,method.length=10,accuracy,points,2,seen,T",
    "table2,red,tiny,ptuning_v2,,accuracy,points,3,seen,T",
)
# What the papers compare with, and this suite has not.
ELSEWHERE = {
    "task": {"inference", "p_tuning", "xsum_news_to_sports", "xsum_within_news"},
    "model": {"chatglm_6b", "glm_xlarge_2b", "glm_xxlarge_10b", "megatron_11b", "previous_best"},
    "method": {
        *("adapter_0.1", "adapter_3", "autoprompt_previous_best", "discrete", "ft_top2", "lora"),
        *("lpaqa", "manual", "manual_ft", "prefix_0.1", "fp16", "int4", "int8"),
        "int4_p_tuning_v2_bs1_acc16",
    },
}

KNOWN = {column: {file.stem for file in (CONF / column).glob("*.yaml")} for column in ELSEWHERE}


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "paper" / "tiny.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join((header, *rows, "")))
    return file


def sweep_of(folder: Path, named: str, *changes: tuple[str, str]) -> Sweep:
    text = SWEEP.replace("sweep: pair", f"sweep: pair\npaper: {named}")
    for old, new in changes:
        text = text.replace(old, new)
    (folder / "pair.yaml").write_text(text)
    return sweeps.read("pair", folder)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setattr(paper, "PAPER", tmp_path / "paper")
    write(tmp_path, *ROWS)
    return sweep_of(tmp_path, "tiny/table1")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_paper_is_sound_and_in_this_suites_words(file: Path) -> None:
    for key, figure in paper.read(file).items():
        assert figure.source
        for column, elsewhere in ELSEWHERE.items():
            assert getattr(key, column) in KNOWN[column] | elsewhere, key


def test_there_are_the_papers_of_the_three_methods() -> None:
    assert {"chatglm", "prefix_tuning", "ptuning_v1", "ptuning_v2"} <= {f.stem for f in FILES}


def test_every_sweep_names_a_paper_that_has_its_backbones_or_whose_values_nobody_knows() -> None:
    named = [sweep for name in sweeps.names() if (sweep := sweeps.read(name)).paper]
    assert named
    for sweep in named:
        found = paper.reference(sweep)
        assert found
        assert found.covers(sweep.axes["model"]) or not found.holds, sweep.name


def test_a_known_value_is_found_by_sweep_task_model_and_method() -> None:
    axes = {"task": ("boolq",), "model": ("bert_large_cased",), "method": ("ptuning_v2",)}
    sweep = Sweep("any", "", {**axes, "seed": ("0",)}, "ptuning_v2/table2")
    found = paper.reference(sweep)
    assert found
    figure = found.figure(Place("boolq", "bert_large_cased", "ptuning_v2", ()), "accuracy")
    assert figure
    assert (figure.points, figure.unverified) == (75.8, False)
    assert figure.source == "Table 2: bert-large, PT-2, BoolQ, acc"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[0].replace("91.5", "9l.5"), r"tiny\.csv, line 2: value='9l.5' is no number"),
        (ROWS[0].replace("91.5", "nan"), r"line 2: value='nan' is not finite"),
        (ROWS[0].replace("seen", "maybe"), r"line 2: evidence='maybe' is none of seen, recalled"),
        (ROWS[0].replace("points", "percent"), r"line 2: unit='percent' is none of points, plain"),
        (ROWS[0].replace("tiny", ""), r"line 2: column model is empty"),
        (ROWS[0].replace("e,,a", "e,length,a"), r"line 2: settings='length' is not key=value"),
        (ROWS[0] + ", BoolQ", r"line 2: more values than columns; put those with commas in quotes"),
        (f"{ROWS[0]}\n{ROWS[0]}", r"line 3: a second value for table1, red, tiny, finetune"),
    ],
)
def test_a_fault_names_file_line_column_and_value(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(PaperError, match=message):
        paper.read(write(tmp_path, rows))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PaperError, match=r"tiny\.csv, line 1: not table,task,model"):
        paper.read(write(tmp_path, header="table,task"))


@pytest.mark.parametrize("named", ["tiny", "tini/table1", "table1@tiny"])
def test_a_paper_that_there_is_not_is_named(pair: Sweep, named: str, tmp_path: Path) -> None:
    with pytest.raises(PaperError, match=rf"sweeps/pair\.yaml: paper='{named}' is not <paper>/"):
        paper.reference(sweep_of(tmp_path, named))


@pytest.mark.parametrize(
    ("start", "length", "value"),
    [("null", "10", 2), ("several", "10", 1), ("null", "20", None), ("several", "null", None)],
)
def test_a_figure_has_all_settings_that_the_sweep_varies(
    pair: Sweep, tmp_path: Path, start: str, length: str, value: float | None
) -> None:
    axes = "seed: 0,1,2\n      start: null,several\n      method.length: null,10,20"
    varied = sweep_of(tmp_path, "tiny/table2", ("seed: 0,1,2", axes))
    found = paper.reference(varied)
    assert found
    figure = found.figure(Place("red", "tiny", "ptuning_v2", (start, length)), "accuracy")
    assert (figure and figure.points) == value


def test_values_and_differences_stand_beside_ours(pair: Sweep) -> None:
    found = [record("red", "finetune", 0, 0.9), record("red", "ptuning_v2", 0, 0.8)]
    found.append(record("blue", "finetune", 0, 0.7))
    table = tables.table(found, pair)
    text = tables.to_markdown(table)
    assert "| red (accuracy): ours / paper / difference |" in text
    assert "| **90.0 (n=1)** / 91.5 / -1.5 | **70.0 (n=1)** / OOM / - |" in text
    assert "| 80.0 (n=1) / 86.0‡ / -6.0 | - / - / - |" in text
    assert "- ‡: recalled, not seen in the paper: unverified.\n" in text
    lines = list(csv.DictReader(tables.to_csv(table).splitlines()))
    assert (lines[2]["paper"], lines[2]["difference"]) == ("86", "-6")
    assert lines[2]["paper_evidence"] == "recalled"
    assert "86.0$^{\\ddagger}$ / -6.0" in tables.to_latex(table)


def test_another_backbone_stands_beside_only_where_the_sweep_says_so(
    pair: Sweep, tmp_path: Path
) -> None:
    small = record("red", "finetune", 0, 0.9)
    small["cell"]["model"] = "small"
    change = ("model: tiny", "model: small")
    text = tables.to_markdown(tables.table([small], sweep_of(tmp_path, "tiny/table1", change)))
    assert "| **90.0 (n=1)** | - |" in text
    assert "- Paper: tiny/table1 has no figure for this backbone.\n" in text
    named = sweep_of(tmp_path, "tiny/table1@tiny", change)
    text = tables.to_markdown(tables.table([small], named))
    assert "| red (accuracy): ours / paper |" in text
    assert "| **90.0 (n=1)** / 91.5 |" in text, "no difference from another backbone"
    assert "- Paper: tiny/table1, on tiny, another backbone, and on other data;" in text
    assert "Its values are a reference only.\n" in text
    (line, *_) = csv.DictReader(io.StringIO(tables.to_csv(tables.table([small], named))))
    assert (line["paper"], line["difference"]) == ("91.5", "")


def test_an_heir_has_not_the_paper_of_its_sweep(pair: Sweep, tmp_path: Path) -> None:
    (tmp_path / "heir.yaml").write_text("# @package _global_\n# An heir.\ndefaults: [pair, _self_]")
    assert sweeps.read("heir", tmp_path).paper is None


def test_the_command_names_what_is_missing_and_prints_any_format(
    pair: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = [record("blue", "ptuning_v2", 0, 0.9), record("red", "finetune", 0, 0.9)]
    monkeypatch.setattr(records, "load", lambda sweep: found)
    monkeypatch.setattr(sweeps, "find", lambda sweep: pair)
    monkeypatch.setattr(tables, "write", partial(tables.write, folder=tmp_path / "tables"))
    done = CliRunner().invoke(cli.app, ["table", "pair", "--format", "tex"])
    assert done.exit_code == 0, done.output
    assert done.stdout == (tmp_path / "tables" / "pair.tex").read_text()
    assert "warning: tiny/table1 has no value for" in done.stderr
    assert "task=blue model=tiny method=ptuning_v2 metric=accuracy" in done.stderr
    assert "Add a line each to" in done.stderr
    assert "tiny.csv, with table=table1 and its source" in done.stderr
    assert "red" not in done.stderr
