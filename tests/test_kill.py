"""Interrupted, killed and competing processes: nothing lost, nothing doubled, no half record."""

import os
import signal
from pathlib import Path

import pytest

from tests.runs import PATIENCE, Bench, Sabotage, die_before_replace, die_half_written, meet, stall


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def trainings(bench: Bench) -> int:
    return bench.log().count(": epoch 1, loss")


def statuses(bench: Bench) -> list[str]:
    return [record["status"] for record in bench.records()]


def test_interrupt_is_recorded_and_a_rerun_finishes_the_cell(bench: Bench) -> None:
    process = bench.start(sabotage=stall)
    bench.wait_for("stalled")
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(PATIENCE)
    assert process.exitcode not in (0, None)
    assert statuses(bench) == ["interrupted"]
    assert bench.records()[0]["error"] == "KeyboardInterrupt"
    assert bench.command() == 0
    assert statuses(bench) == ["done"]


def test_interrupt_ends_the_whole_sweep(bench: Bench) -> None:
    process = bench.start("-m", "seed=0,1", sabotage=stall)
    bench.wait_for("stalled")
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(PATIENCE)
    assert process.exitcode not in (0, None)
    assert statuses(bench) == ["interrupted"]


def test_killed_in_training_leaves_no_record_and_no_lock(bench: Bench) -> None:
    assert bench.command("seed=1") == 0
    process = bench.start("-m", "seed=1,0,2", sabotage=stall)
    bench.wait_for("stalled")
    process.kill()
    process.join(PATIENCE)
    assert statuses(bench) == ["done"], "the cell before stays, the killed one has no record"
    assert bench.command("-m", "seed=0,1,2") == 0
    assert statuses(bench) == ["done"] * 3
    assert trainings(bench) == 3, "seed 1 was trained twice"
    assert bench.files("*.tmp") == []


@pytest.mark.parametrize("sabotage", [die_half_written, die_before_replace])
def test_killed_in_writing_leaves_no_half_record(bench: Bench, sabotage: Sabotage) -> None:
    assert bench.command(sabotage=sabotage) == -signal.SIGKILL
    assert bench.files() == []
    assert bench.command() == 0
    assert statuses(bench) == ["done"]
    assert bench.files("*.tmp") == []
    assert trainings(bench) == 2


def test_killed_in_writing_anew_keeps_the_old_record(bench: Bench) -> None:
    before = bench.run()
    assert bench.command("rerun=true", sabotage=die_half_written) == -signal.SIGKILL
    assert bench.records() == [before]


def test_two_processes_never_train_the_same_cell(bench: Bench) -> None:
    both = [bench.start("-m", "seed=0,1,2,3", sabotage=meet) for _ in range(2)]
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0]
    assert trainings(bench) == 4
    assert bench.log().count("skipped") == 4, "each cell is trained by one, skipped by the other"
    assert statuses(bench) == ["done"] * 4
