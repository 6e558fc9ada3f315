"""Plans: which cell is in which state, what the rest will take, and what is never made up."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ptbench import plan_view, planning, records, status, sweeps
from ptbench.errors import PtbenchError
from ptbench.estimates import LEVELS, likeness
from ptbench.planning import Planned, State, narrowed, plan
from ptbench.sweeps import Sweep, SweepError
from tests.recorded import whole

SWEEP = """# @package _global_
# Two methods on two made-up tasks.
sweep: pair
hydra:
  sweeper:
    params:
      task: red,blue
      model: tiny
      method: finetune,probe
      seed: 0,1
"""


@pytest.fixture
def pair(tmp_path: Path) -> Sweep:
    (tmp_path / "pair.yaml").write_text(SWEEP)
    return sweeps.read("pair", tmp_path)


def cell(
    task: str, method: str, seed: int, score: float | None = 0.7, model: str = "tiny", **told: Any
) -> dict[str, Any]:
    """A record of that cell; `told`: steps, seconds, bytes, parts of its config."""
    made = whole(seed, score)
    made["cell"] = {"task": task, "model": model, "method": method, "seed": seed}
    if score is not None:
        made["curve"][-1]["step"] = told.pop("steps", 4)
        made["cost"]["peak_memory_bytes"] = told.pop("bytes", 1000)
        made["provenance"] |= {"seconds": told.pop("seconds", 3.0)}
    made["config"] |= told.pop("config", {})
    assert not told
    return made


def states(cells: list[Planned]) -> dict[tuple[str, str, int], State]:
    return {(c.place.task, c.place.method, c.seed): c.state for c in cells}


def test_every_cell_is_done_failed_trained_or_missing(pair: Sweep) -> None:
    own = [cell("red", "finetune", 0), cell("red", "finetune", 1, None), cell("green", "probe", 0)]
    now = [cell("blue", "probe", 1, None) | {"status": "training", "since": 0.0}]
    found = states(plan(own, pair, training=now))
    assert len(found) == 8
    assert found.pop(("red", "finetune", 0)) is State.done
    assert found.pop(("red", "finetune", 1)) is State.failed
    assert found.pop(("blue", "probe", 1)) is State.training
    assert set(found.values()) == {State.missing}


def test_a_failure_that_has_since_finished_is_done(pair: Sweep) -> None:
    own = [cell("red", "finetune", 0, None), cell("red", "finetune", 0)]
    assert states(plan(own, pair))["red", "finetune", 0] is State.done


def test_the_last_failure_tells_the_reason(pair: Sweep) -> None:
    first, second = cell("red", "probe", 0, None), cell("red", "probe", 0, None)
    first["provenance"] |= {"time": "2026-01-01"}
    second |= {"status": "oom", "error": "Traceback ...\nCUDA out of memory\n"}
    second["provenance"] |= {"time": "2026-01-02"}
    (told,) = plan_view.failures(plan([second, first], pair))
    assert told == "oom: red tiny probe seed 0: CUDA out of memory"


def test_overrides_replace_axes_as_in_a_run(pair: Sweep) -> None:
    found = plan([cell("red", "finetune", 3)], narrowed(pair, ["task=red", "seed=3,4"]))
    assert [(c.place.task, c.place.method, c.seed, c.state.value) for c in found] == [
        ("red", "finetune", 3, "done"),
        ("red", "finetune", 4, "missing"),
        ("red", "probe", 3, "missing"),
        ("red", "probe", 4, "missing"),
    ]


@pytest.mark.parametrize(
    ("override", "done"),
    [
        ("train.learning_rate=1e-3", True),  # 0.001 in the record
        ("++train.learning_rate=1e-2", False),
        ("train.learning_rate=1e-3,1e-2", True),
        ("protocol=fair", True),
        ("protocol=paper", False),
        ("task.parts=[a,b]", True),
        ("task.parts=[a,c]", False),
        ("data.root=/elsewhere", True),  # what decides no result
        ("tracking=wandb", True),
        ("hydra/launcher=basic", True),
    ],
)
def test_a_record_with_another_setting_is_another_cell(
    pair: Sweep, override: str, done: bool
) -> None:
    config = {"train": {"learning_rate": 0.001}, "task": {"parts": ["a", "b"]}}
    own = cell("red", "finetune", 0, config=config)
    found = plan([own], narrowed(pair, [override]))
    assert any(c.state is State.done for c in found) is done


@pytest.mark.parametrize("wrong", ["red", "-m", "task=[red"])
def test_what_is_no_override_is_named(pair: Sweep, wrong: str) -> None:
    with pytest.raises(SweepError, match=wrong.replace("[", r"\[")):
        narrowed(pair, [wrong])


def test_an_estimate_is_the_median_of_the_cells_that_are_most_alike(pair: Sweep) -> None:
    own = [
        cell("red", "finetune", 0, steps=100, seconds=10.0, bytes=1000),
        cell("red", "finetune", 7, steps=300, seconds=40.0, bytes=4000),
        cell("red", "probe", 0, steps=100, seconds=1.0, bytes=100),
        cell("blue", "probe", 0, steps=50, seconds=2.0, bytes=50),
    ]
    others = [cell("blue", "finetune", s, steps=9, seconds=9.0, bytes=9) for s in range(3)]
    found = {(c.place.task, c.place.method, c.seed): c.estimate for c in plan(own, pair, others)}
    assert found["red", "finetune", 0] is None, "it is done"
    same = found["red", "finetune", 1]
    assert same is not None
    assert (same.steps, same.seconds, same.bytes, same.count) == (200, 25.0, 2500, 2)
    assert likeness(same.level) == "same task, model, method, settings; this sweep"
    other_method = found["blue", "finetune", 0]
    assert other_method is not None
    assert (other_method.seconds, other_method.count) == (2.0, 1)
    assert likeness(other_method.level) == "same task, model; this sweep"


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_each_level_asks_for_what_it_says(pair: Sweep, level: int) -> None:
    """One record that has just what the level names in common with blue tiny probe."""
    names, where = LEVELS[level]
    record = cell(
        "blue" if "task" in names else "green", "probe" if "method" in names else "other", 9
    )
    sweep = Sweep("pair", "", {**pair.axes, "train.learning_rate": ("1", "2")})
    record["config"] |= {"train": {"learning_rate": 1 if "settings" in names else 3}}
    own, others = ([record], []) if where == "this sweep" else ([], [record])
    found = next(
        c
        for c in plan(own, sweep, others)
        if c.place == ("blue", "tiny", "probe", ("1",)) and c.seed == 0
    )
    assert found.estimate is not None and found.estimate.level == level


def test_nothing_is_made_up_for_another_model(pair: Sweep) -> None:
    found = plan([], pair, [cell("red", "finetune", 0, model="large")])
    assert {c.estimate for c in found} == {None}
    text = printed(plan_view.view(pair, found))
    assert "8 without an estimate: no record has their model" in text
    assert "after another" not in text


def test_totals_are_sums_and_the_largest_memory(pair: Sweep) -> None:
    own = [
        cell("red", "finetune", 0, steps=100, seconds=60.0, bytes=10**9),
        cell("red", "probe", 0, steps=100, seconds=30.0, bytes=5 * 10**8),
    ]
    cells = plan(own, narrowed(pair, ["task=red"]))
    assert plan_view.left(cells) == (2, 200, 90.0, 10**9, 0)
    (line,) = plan_view.totals(cells)
    assert "2 cells, 200 steps, 0:01:30 one after another, peak memory 1.0 GB" in line
    text = printed(plan_view.view(pair, cells))
    assert "4 cells: 2 done, 0 being trained, 0 failed, 2 missing" in text
    assert "a: same task, model, method, settings; this sweep" in text


def trial(number: int, score: float | None = 0.7, **changes: Any) -> dict[str, Any]:
    made = cell("red", "probe", 0, score) | {"hash": f"{number:08x}"} | changes
    made["selection"] = {**made.get("selection", {}), "score": number / 10}
    return made


def test_a_search_is_done_with_its_last_trial_and_tells_how_many_there_are(pair: Sweep) -> None:
    search = narrowed(replace(pair, trials=3), ["task=red", "method=probe"])
    lost = trial(9, None, status="interrupted")  # drawn again, so no trial is spent
    for own, state in (
        ([], State.missing),
        ([trial(1), lost], State.missing),
        ([trial(1), trial(2, None, status="pruned")], State.missing),
        ([trial(1), trial(2, None, status="pruned"), trial(3)], State.done),
        ([trial(n, None, status="diverged") for n in range(3)], State.failed),
    ):
        first, second = plan(own, search)
        assert (first.state, second.state) == (state, State.missing)
        spent = sum(record is not lost for record in own)
        assert (first.trials, second.trials) == ((spent, 3), (0, 3))
        assert f"; {spent} of 6 trials" in plan_view.counts([first, second])


def test_what_a_search_still_takes_is_that_of_all_trials_left(pair: Sweep) -> None:
    search = narrowed(replace(pair, trials=3), ["task=red", "method=probe"])
    cells = plan([trial(1), trial(2)], search)
    assert plan_view.left(cells) == (2, 4 * (1 + 3), 3.0 * (1 + 3), 1000, 0)
    text = printed(plan_view.view(search, cells))
    assert "0 (2 of 3 trials) 1 (0 of 3 trials)" in text
    assert "2 cells: 0 done, 0 being trained, 0 failed, 2 missing; 2 of 6 trials" in text
    now = [trial(3, None) | {"status": "training", "since": 1000.0}]
    running = plan([trial(1), trial(2)], search, training=now)
    text = printed(status.view("pair", running, now=1001.0))
    assert "Time left: 0:00:11" in text, "four trials of 3 s, 1 s of one gone"


def printed(shown: Any) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_two_results_of_one_cell_name_what_differs(pair: Sweep) -> None:
    own = [
        cell("red", "probe", 0, config={"train": {"epochs": 3}}),
        cell("red", "probe", 0, config={"train": {"epochs": 10}}) | {"hash": "ffffffff"},
    ]
    message = r"s0-00000000\.json and .*s0-ffffffff\.json; they differ in train\.epochs \(3, 10\)"
    with pytest.raises(SweepError, match=message):
        plan(own, pair)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A checkout of its own with the sweep; writes records into it."""
    folder = tmp_path / "records"
    monkeypatch.setattr(records, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(planning, "RECORDS", folder)
    monkeypatch.setattr(sweeps, "RECORDS", folder)
    monkeypatch.setattr(records, "load", partial(records.load, folder=folder))
    monkeypatch.setattr(status, "Watched", partial(status.Watched, folder=folder))
    (tmp_path / "pair.yaml").write_text(SWEEP)
    monkeypatch.setattr(sweeps, "find", partial(sweeps.find, folder=tmp_path))

    def write(record: dict[str, Any]) -> Path:
        file = records.path_of("pair", record["cell"], record["hash"], folder)
        records.write(file, record)
        return file

    return write


def test_a_claim_that_is_announced_is_being_trained_until_it_ends(
    here: Callable[..., Path], tmp_path: Path
) -> None:
    head = {key: cell("red", "probe", 0)[key] for key in ("hash", "cell", "config")}
    file = tmp_path / "records" / "pair" / "red" / "one.json"
    before = time.time()
    with records.claimed(file), records.announced(file, head):
        (now,) = records.training("pair")
        assert now | head == now and now["since"] >= before
        assert records.training("other") == []
        assert states(planning.of("pair")[1])["red", "probe", 0] is State.training
    assert records.training("pair") == []


def test_what_a_killed_process_announced_is_not_being_trained(
    here: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "records" / "pair" / "red" / "one.json"
    head = {key: cell("red", "probe", 0)[key] for key in ("hash", "cell", "config")}
    with records.announced(file, head):
        (note,) = (tmp_path / "runs" / "locks").glob("*.json")
        left = note.read_text()
    note.write_text(left)  # as a kill leaves it: the note stays, its lock does not
    assert records.training("pair") == []
    with records.announced(file, head):
        assert len(records.training("pair")) == 1


def test_status_shows_time_left_last_scores_and_failures(pair: Sweep) -> None:
    own = [cell("red", "finetune", 0, 0.91, seconds=100.0), cell("red", "probe", 0, None)]
    now = [cell("red", "finetune", 1) | {"status": "training", "since": 1000.0}]
    cells = plan(own, narrowed(pair, ["task=red"]), training=now)
    text = printed(status.view("pair", cells, now=1040.0))
    # three cells of 100 s each, 40 s of one gone
    assert "Time left: 0:04:20" in text
    assert "being trained: red tiny finetune seed 1, for 0:00:40 of about 0:01:40" in text
    assert "done: red tiny finetune seed 0: accuracy 91.0, 0:01:40" in text
    assert "failed: red tiny probe seed 0: out of luck" in text


def test_status_ends_when_none_is_left_and_reads_only_what_changed(
    here: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in ("red", "blue"):
        for number, method in enumerate(("finetune", "probe")):
            here(cell(task, method, 0) | {"hash": f"{number:08x}"})
    reads: list[Path] = []
    read = records.read
    monkeypatch.setattr(records, "read", lambda file: (reads.append(file), read(file))[1])

    def finish(_: float) -> None:
        assert len(reads) == 4
        for task in ("red", "blue"):
            for number, method in enumerate(("finetune", "probe")):
                here(cell(task, method, 1) | {"hash": f"{number:08x}"})

    monkeypatch.setattr(status.time, "sleep", finish)
    console = Console(width=120, file=io.StringIO(), record=True)
    status.show("pair", (), console, once=False)
    assert "8 cells: 8 done" in console.export_text()
    assert len(reads) == 8


def test_a_folder_without_records_asks_for_some(here: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "records" / "empty").mkdir(parents=True)
    with pytest.raises(SweepError, match=r"no records of empty: `ptbench run .*`ptbench merge"):
        planning.of("empty")


def test_a_sweep_that_is_not_there_is_named(here: Callable[..., Path]) -> None:
    with pytest.raises(PtbenchError, match=r"no sweep 'pear'\. Did you mean 'pair'"):
        planning.of("pear")
