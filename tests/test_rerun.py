"""Cells run again: which, with what, and what to say where a record does not tell enough."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ptbench import planning, records, rerun, sweeps
from ptbench.rerun import RerunError
from tests.recorded import whole
from tests.runs import Bench, rerun_failed


def made(seed: int, score: float | None, command: str) -> dict[str, Any]:
    record = whole(seed, score)
    record["provenance"]["command"] = f"ptbench run {command}"
    return record


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes records of a sweep that no file describes."""
    folder = tmp_path / "records"
    monkeypatch.setattr(records, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(records, "load", partial(records.load, folder=folder))
    monkeypatch.setattr(planning, "RECORDS", folder)
    monkeypatch.setattr(sweeps, "find", lambda _: None)

    def kept(*all_: dict[str, Any]) -> None:
        for record in all_:
            records.write(records.path_of("pair", record["cell"], record["hash"], folder), record)

    return kept


def test_only_what_failed_is_run_again(keep: Callable[..., None]) -> None:
    keep(made(0, 0.7, "seed=0 sweep=pair"), made(1, None, "seed=1 sweep=pair"))
    assert rerun.lines("pair", [], failed=True, every=False) == [["seed=1", "sweep=pair"]]
    assert rerun.lines("pair", ["train.epochs=1"], failed=False, every=True) == [
        ["seed=0", "sweep=pair", "train.epochs=1", "rerun=true"],
        ["seed=1", "sweep=pair", "train.epochs=1", "rerun=true"],
    ]


def test_an_axis_chooses_cells_and_other_overrides_replace_recorded_ones(
    keep: Callable[..., None],
) -> None:
    keep(*(made(seed, None, f"seed={seed} data.root=<folder>") for seed in range(3)))
    found = rerun.lines("pair", ["seed=1,2", "data.root=/here"], failed=True, every=False)
    assert found == [["seed=1", "data.root=/here"], ["seed=2", "data.root=/here"]]


def test_without_a_choice_both_are_offered_with_their_counts(keep: Callable[..., None]) -> None:
    keep(made(0, 0.7, "seed=0"), made(1, None, "seed=1"))
    for choice in (True, False):
        with pytest.raises(RerunError, match=r"say which .*: --failed \(1\), or --all \(2\)"):
            rerun.lines("pair", [], choice, choice)


def test_a_folder_that_no_record_tells_is_asked_for(keep: Callable[..., None]) -> None:
    keep(made(0, None, "seed=0 data.root=<folder>"))
    with pytest.raises(
        RerunError, match=r"red tiny finetune seed 0 .*`ptbench rerun pair \.\.\. d"
    ):
        rerun.lines("pair", [], failed=True, every=False)


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        (
            "seed=0 'method.init_words='\"'\"'so it is'\"'\"''",
            ["seed=0", "method.init_words='so it is'"],
        ),
        ("method.init_words=so it is seed=0", ["method.init_words=so it is", "seed=0"]),
        ("'task.parts=[a,b]' ~tuned", ["task.parts=[a,b]", "~tuned"]),
        ("task.parts=[a,b]", ["task.parts=[a,b]"]),
        ("", []),
    ],
)
def test_overrides_are_read_off_the_command(command: str, overrides: list[str]) -> None:
    assert rerun.told(made(0, None, command)) == overrides


def test_a_cell_that_failed_is_run_again_to_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    words = "method.init_words='the plot, in all'"
    missing = bench.data / "sst2" / "validation.jsonl"
    rows = missing.read_bytes()
    missing.unlink()
    assert bench.command(words) != 0
    (before,) = bench.records()
    assert before["status"] == "failed"
    assert rerun.told(before)[-1] == words, "as it was said, quotes and all"
    assert bench.command(sabotage=rerun_failed) == 1, "it fails again"
    missing.write_bytes(rows)
    assert bench.command(sabotage=rerun_failed) == 0, bench.log()
    (after,) = (record for record in bench.records() if record["status"] == "done")
    assert after["cell"] == before["cell"]
    assert after["config"]["method"]["init_words"] == "the plot, in all"
