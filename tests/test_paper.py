"""The papers' values: what is kept can be looked up, and a faulty line is told where it stands."""

from pathlib import Path

import pytest

from ptbench import paper, sweeps
from ptbench.paper import COLUMNS, PaperError
from ptbench.paths import CONF, PAPER

GOOD = "table2,bert-large,335,FT,CB,acc,94.6,recalled,a book,cb,bert_large,finetune,,accuracy"
FILES = sorted(PAPER.glob("*.csv"))


def written(folder: Path, *lines: str) -> Path:
    file = folder / "some.csv"
    file.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kept_values_name_what_ptbench_has(file: Path) -> None:
    found = paper.read(file)
    assert found
    for fact in found:
        assert not fact.task or (CONF / "task" / f"{fact.task}.yaml").exists()
        assert not fact.method or (CONF / "method" / f"{fact.method}.yaml").exists()
        assert all((CONF / "model" / f"{model}.yaml").exists() for model in fact.models)


def test_each_sweep_that_redoes_a_table_names_a_paper_that_is_kept() -> None:
    tables = {name: sweeps.read(name).paper for name in sweeps.names()}
    assert tables["ptv2_table2_cpu"] == "ptuning_v2/table2"
    assert tables["first_table"] is None
    for table in filter(None, tables.values()):
        paper.facts(table)


def test_a_sweep_has_the_paper_of_the_sweep_it_starts_from(tmp_path: Path) -> None:
    axes = "{seed: 0, task: cb, model: tiny, method: finetune}"
    params = f"hydra: {{sweeper: {{params: {axes}}}}}\n"
    (tmp_path / "whole.yaml").write_text(f"# All.\npaper: some/table2\n{params}")
    (tmp_path / "small.yaml").write_text("# Less.\ndefaults: [whole, {task: cb}]\n")
    (tmp_path / "none.yaml").write_text("# Less.\ndefaults: [whole]\npaper: null\n")
    read = {name: sweeps.read(name, tmp_path).paper for name in ("whole", "small", "none")}
    assert read == {"whole": "some/table2", "small": "some/table2", "none": None}


def test_values_are_found_by_task_method_and_settings(tmp_path: Path) -> None:
    several = GOOD.replace("finetune,", "finetune,trained=several method.rate=1e-3")
    written(tmp_path, GOOD, several.replace("94.6", "95.1"), GOOD.replace("table2", "table3"))
    found = paper.facts("some/table2", tmp_path)
    plain, other = {"trained": "alone"}, {"trained": "several", "method.rate": "0.001"}
    assert [f.value for f in paper.fitting(found, "cb", "finetune", {})] == [94.6]
    assert [f.value for f in paper.fitting(found, "cb", "finetune", plain)] == [94.6]
    assert [f.value for f in paper.fitting(found, "cb", "finetune", other)] == [95.1]
    assert paper.fitting(found, "cb", "ptuning_v2", {}) == []
    assert paper.fitting(found, "rte", "finetune", {}) == []


def test_values_without_a_counterpart_are_kept_and_not_found(tmp_path: Path) -> None:
    adapter = "table1,gpt2-medium,355,adapter,E2E,BLEU,68.9,seen,a book,,,,,"
    file = written(tmp_path, adapter, adapter.replace("BLEU,68.9", "NIST,8.71"))
    assert [fact.value for fact in paper.read(file)] == [68.9, 8.71]
    assert paper.facts("some/table1", tmp_path) == []
    assert paper.facts(None, tmp_path) == []


FAULTS = {
    GOOD.replace("94.6", "OOM"): "line 3, value: 'OOM' is no number; write one, such as 75.8",
    GOOD.replace("94.6", "nan"): "line 3, value: 'nan' is no number",
    GOOD.replace("335", "big"): "line 3, millions: 'big' is no number",
    GOOD.replace("recalled", "sure"): "line 3, evidence: 'sure'; say seen or recalled",
    GOOD.replace("a book", ""): "line 3, source: it is empty; say it",
    GOOD.replace(",accuracy", ","): "line 3: give task, method and metric, or none of them",
    GOOD.replace("finetune,", "finetune,rate"): "line 3, settings: 'rate'; write key=value",
    f"{GOOD},more": "line 3: 15 cells, where 14 columns are",
    GOOD: "line 3: the value of cb, bert-large, finetune stands there twice; delete one",
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_faulty_line_is_told_with_its_place_and_remedy(tmp_path: Path, line: str) -> None:
    file = written(tmp_path, GOOD, line)
    with pytest.raises(PaperError) as error:
        paper.read(file)
    assert str(error.value).startswith(str(file))
    assert FAULTS[line] in str(error.value)


def test_other_columns_and_a_paper_that_is_not_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "ptuning_v2.csv").write_text("paper,value\n")
    with pytest.raises(PaperError, match=r"line 1: \['paper', 'value'\] are not the columns"):
        paper.facts("ptuning_v2/table2", tmp_path)
    with pytest.raises(PaperError, match=r"say <paper>/<table>.*did you mean 'ptuning_v2'\?"):
        paper.facts("ptuning_v3/table2", tmp_path)
    with pytest.raises(PaperError, match="paper=ptuning_v2: say <paper>/<table>"):
        paper.facts("ptuning_v2", tmp_path)


def test_points_are_points() -> None:
    """A score shown beside ours is one of 0 to 100, never of 0 to 1 or of another scale."""
    for file in FILES:
        assert all(1 <= fact.value <= 100 for fact in paper.read(file) if fact.task)
