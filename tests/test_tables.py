"""Sweeps, tables: hand-worked numbers, and every way in which records can be wrong."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ptbench import sweeps, tables
from ptbench.sweeps import Cell, Sweep, SweepError

SWEEP = """# @package _global_
# Two methods on two made-up tasks.   ptbench run sweeps=pair
sweep: pair
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      task: red,blue
      model: tiny
      method: finetune,ptuning_v2
      seed: 0,1,2
"""
GRIDS = {
    "finetune": ("Fine-tuning", "-", "-", "linear", "trained"),
    "ptuning_v2": ("P-tuning v2", "keys and values of every layer", "table", "linear", "frozen"),
}


def record(
    task: str, method: str, seed: int, score: float | None, status: str = "done", **changes: Any
) -> dict[str, Any]:
    """A record with that accuracy; `changes` replace whole parts of it."""
    fields = ("title", "prompt", "encoder", "head", "backbone")
    trained = 1000 if method == "finetune" else 12
    done: dict[str, Any] = {
        "adaptation": dict(zip(fields, GRIDS[method], strict=True)),
        "scores": {"test": {"accuracy": score, "f1": 0.0}},
        "floor": {"test": {"accuracy": 0.5, "f1": 0.0}},
        "selection": {"split": "held out", "metric": "accuracy", "step": 1, "score": score},
        "curve": [{"step": s, "epoch": s / 2, "loss": 1.0, "score": s / 10} for s in (2, 4)],
        "cost": {"trainable_parameters": trained, "total_parameters": 1000},
    }
    return {
        "hash": f"{seed:08x}",
        "cell": {"task": task, "model": "tiny", "method": method, "seed": seed},
        "status": status,
        "config": {"protocol": {"name": "fair"}, "sweep": "pair", "train": {"learning_rate": 1e-3}},
        "provenance": {"commit": "0123456789ab", "dirty": False},
        **(done if status == "done" else dict.fromkeys(done)),
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pair.yaml").write_text(SWEEP)
    return tmp_path


@pytest.fixture
def pair(folder: Path) -> Sweep:
    return sweeps.read("pair", folder)


@pytest.fixture
def records() -> list[dict[str, Any]]:
    """Finished, partly diverged, wholly failed; one cell of the four is missing."""
    return [
        *(record("red", "finetune", seed, score) for seed, score in enumerate((0.90, 0.92, 0.94))),
        *(record("red", "ptuning_v2", seed, score) for seed, score in enumerate((0.80, 0.90))),
        record("red", "ptuning_v2", 2, None, "diverged"),
        record("blue", "ptuning_v2", 0, None, "oom"),
    ]


# red, finetune: mean 92, deviations -2, 0, 2, so sd = sqrt((4 + 0 + 4) / 2) = 2.
# red, ptuning_v2: mean 85, deviations -5, 5, so sd = sqrt((25 + 25) / 1) = 7.07.
GOLDEN = """# pair

Two methods on two made-up tasks.

| method | red (accuracy) | blue (-) | trainable | backbone |
| --- | ---: | ---: | ---: | --- |
| majority floor | 50.0 | - | - | - |
| Fine-tuning | **92.0 ± 2.0** | - | 100 % | trained |
| P-tuning v2 | 85.0 ± 7.1 (n=2, 1 diverged) | oom | 1.2 % | frozen |

- Sweep pair, 3 seeds: mean ± sample standard deviation, in points (0-100).
- Protocol fair: selection split held out; reported split test.
- Backbone: tiny. Trainable: trained parameters in % of all.
- Bold: highest mean of a column; it implies no significance.
- Records of commit 01234567.

## Methods

| method | prompt | encoder | head | backbone |
| --- | --- | --- | --- | --- |
| Fine-tuning | - | - | linear | trained |
| P-tuning v2 | keys and values of every layer | table | linear | frozen |
"""


def test_markdown_is_the_golden_table_in_any_order_of_records(
    records: list[dict[str, Any]], pair: Sweep
) -> None:
    assert tables.to_markdown(tables.table(records, pair)) == GOLDEN
    assert tables.to_markdown(tables.table(records[::-1], pair)) == GOLDEN


def test_csv_parses_back_with_a_line_for_every_task_and_method(
    records: list[dict[str, Any]], pair: Sweep
) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(tables.table(records, pair)))))
    found = {(line["task"], line["method"]): line for line in lines}
    assert len(lines) == len(found) == 4
    tuned = found["red", "ptuning_v2"]
    assert float(tuned["mean"]) == 85
    assert float(tuned["deviation"]) == pytest.approx(50**0.5, abs=1e-4)
    assert (tuned["n"], tuned["failures"], tuned["trainable_percent"]) == ("2", "diverged", "1.2")
    assert found["blue", "finetune"]["mean"] == ""


def test_terminal_shows_scores_and_caption(records: list[dict[str, Any]], pair: Sweep) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    tables.to_terminal(tables.table(records, pair), console)
    text = console.export_text()
    assert "92.0 ± 2.0" in text
    assert "Protocol fair" in text


def test_write_leaves_all_files(records: list[dict[str, Any]], pair: Sweep, tmp_path: Path) -> None:
    paths = tables.write(tables.table(records, pair), tmp_path / "new")
    assert [path.name for path in paths] == ["pair.md", "pair.csv", "pair.tex"]
    assert paths[0].read_text(encoding="utf-8") == GOLDEN


def test_latex_is_balanced_and_escaped(records: list[dict[str, Any]], pair: Sweep) -> None:
    for one in records[:3]:
        one["adaptation"]["title"] = "50 % & more_of {it} \\ #1"
    table = tables.table(records, pair)
    text = tables.to_latex(table)
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    body = [line for line in bare.splitlines() if "&" in line]
    assert len(body) == 2 + len(table.rows)
    assert {line.count("&") for line in body} == {len(table.columns) + 2}
    assert bare.count("$") % 2 == 0
    assert r"50 \% \& more\_of \{it\} \textbackslash{} \#1 & \textbf{92.0 $\pm$ 2.0}" in text
    assert [bare.count(f"\\{word}{{") for word in ("begin", "end")] == [2, 2]


def test_caption_tells_of_dirty_trees_and_records_outside_the_sweep(pair: Sweep) -> None:
    dirty = record("red", "finetune", 0, 0.9, provenance={"commit": "f" * 40, "dirty": True})
    text = tables.to_markdown(tables.table([dirty, record("red", "finetune", 7, 0.1)], pair))
    assert "uncommitted changes: 1 of 1 records; commit the changes and run" in text
    assert "not shown: 1." in text
    assert "90.0 (n=1)" in text


def test_a_head_that_differs_by_task_gets_its_column(pair: Sweep) -> None:
    cloze = record("blue", "ptuning_v2", 0, 0.9)
    cloze["adaptation"]["head"] = "verbalizer"
    text = tables.to_markdown(tables.table([record("red", "ptuning_v2", 0, 0.9), cloze], pair))
    assert "| backbone | head |" in text
    assert "| frozen | linear (red), verbalizer (blue) |" in text


def test_a_failure_that_has_since_finished_is_no_failure(pair: Sweep) -> None:
    found = [record("red", "finetune", 0, None, "failed"), record("red", "finetune", 0, 0.9)]
    assert tables.table(found, pair).rows[0].entries[0].failures == ()


def test_an_extra_axis_makes_a_row_for_each_value(folder: Path) -> None:
    (folder / "rates.yaml").write_text(
        SWEEP.replace(
            "seed: 0,1,2", "seed: 0\n      protocol: fair\n      train.learning_rate: 1e-3,1e-2"
        )
    )
    changed = {"protocol": {"name": "fair"}, "train": {"learning_rate": 0.01}}
    found = [record("red", "finetune", 0, 0.8), record("red", "finetune", 0, 0.9, config=changed)]
    rows = tables.table(found, sweeps.read("rates", folder)).rows
    assert [(row.label, row.entries[0].mean) for row in rows[:2]] == [
        ("Fine-tuning, learning rate 0.001", 80),
        ("Fine-tuning, learning rate 0.01", 90),
    ]


def test_several_models_get_a_column_and_a_best_each(records: list[dict[str, Any]]) -> None:
    large = record("red", "ptuning_v2", 0, 0.7)
    large["cell"]["model"] = "large"
    text = tables.to_markdown(tables.table([*records, large], None))
    assert "| tiny | Fine-tuning | - | **92.0 ± 2.0** |" in text
    assert "| large | P-tuning v2 | - | **70.0 (n=1)** |" in text


def test_two_hashes_in_one_cell_are_refused(records: list[dict[str, Any]], pair: Sweep) -> None:
    rival = record("red", "finetune", 1, 0.1, hash="ffffffff")
    with pytest.raises(SweepError, match=r"red/.*s1-00000001\.json .*s1-ffffffff\.json; .*delete"):
        tables.table([*records, rival], pair)


def test_of_a_search_the_best_trial_stands_in_the_table(
    records: list[dict[str, Any]], pair: Sweep
) -> None:
    trials = [
        record("red", "finetune", 1, 0.1, hash="ffffffff"),
        record("red", "finetune", 1, 0.99, hash="eeeeeeee"),
        record("red", "finetune", 1, None, "pruned", hash="dddddddd"),
    ]
    summed = tables.table([*records, *trials], replace(pair, trials=3))
    row = next(row for row in summed.rows if row.method == "finetune")
    assert max(row.entries[0].values) == pytest.approx(99)
    assert len(row.entries[0].values) == 3
    assert row.entries[0].failures == ()
    assert f"best of a search's trials: {len(records) + 3} in all." in summed.notes[0]


def test_two_configs_in_one_cell_are_told_by_the_settings_that_differ(pair: Sweep) -> None:
    rate = {"protocol": {"name": "fair"}, "sweep": "pair", "train": {"learning_rate": 1e-2}}
    rivals = [
        record("red", "finetune", 0, 0.9),
        record("red", "finetune", 0, 0.8, hash="ffffffff", config=rate),
    ]
    with pytest.raises(SweepError, match=r"train\.learning_rate \(0\.001, 0\.01\): delete the out"):
        tables.table(rivals, pair)


def test_mixed_protocols_are_refused(records: list[dict[str, Any]], pair: Sweep) -> None:
    records[0]["config"] = {"protocol": {"name": "paper"}}
    with pytest.raises(SweepError, match=r"more than one protocol \(fair, paper\)"):
        tables.table(records, pair)


@pytest.mark.parametrize("found", [[], [record("green", "finetune", 0, 0.9)]])
def test_no_records_tell_the_command_that_makes_them(found: list[Any], pair: Sweep) -> None:
    with pytest.raises(SweepError, match="ptbench run sweeps=pair"):
        tables.table(found, pair)


def test_a_sweep_is_read_in_order(pair: Sweep) -> None:
    assert pair.description == "Two methods on two made-up tasks"
    assert pair.settings == ()
    cells = sweeps.cells(pair)
    assert len(cells) == 2 * 1 * 2 * 3
    assert cells[0] == Cell("red", "tiny", "finetune", 0)
    assert cells[-1] == Cell("blue", "tiny", "ptuning_v2", 2)


def test_a_sweep_may_start_from_another(folder: Path) -> None:
    (folder / "wide.yaml").write_text(
        "# @package _global_\n# As pair.\ndefaults: [pair, _self_]\n"
        "hydra:\n  sweeper:\n    params:\n      seed: range(0,5)\n"
    )
    axes = sweeps.read("wide", folder).axes
    assert axes["task"] == ("red", "blue")
    assert axes["seed"] == ("0", "1", "2", "3", "4")


def test_a_misspelt_sweep_names_the_closest_and_all(folder: Path) -> None:
    with pytest.raises(SweepError, match=r"no sweep 'pari'\. Did you mean 'pair'\? .*: pair\."):
        sweeps.read("pari", folder)


def test_a_sweep_without_seeds_is_refused(folder: Path) -> None:
    (folder / "bare.yaml").write_text(SWEEP.replace("      seed: 0,1,2\n", ""))
    with pytest.raises(SweepError, match=r"bare\.yaml: add seed"):
        sweeps.read("bare", folder)
