"""A search is its records: equal budgets, pruning, going on, the best point written."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from omegaconf import OmegaConf

from ptbench import records, search
from ptbench.errors import ConfigError, Pruned, SweepError
from ptbench.train import Point
from tests.runs import CONTEXT, PATIENCE, redirected

CELL = ("pocket_sentiment", "tiny", "ptuning_v2", "0")
RATE = search._distribution("rate", {"low": 1e-3, "high": 1e-1})
KEY = "train.learning_rate"


def record(rate: float, score: float, status: str = "done", **more: Any) -> dict[str, Any]:
    task, model, method, seed = CELL
    return {
        "cell": {"task": task, "model": model, "method": method, "seed": int(seed)},
        "config": {"train": {"learning_rate": rate}},
        "status": status,
        "selection": {"split": "held out", "metric": "accuracy", "score": score},
        "curve": [{"step": s, "epoch": s, "loss": 1.0, "score": score} for s in (1, 2)],
        "provenance": {"commit": "0123456789"},
        **more,
    }


def asked(trials: int = 4) -> search.Search:
    return search.Search("some_search", trials, {"ptuning_v2": {KEY: RATE}}, [CELL])


SMALL = ("train.epochs=1", "data.train_rows=8", "task.train=20", "predictions=false")


@contextmanager
def searching(folder: Path, trials: int) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The pocket search with so many trials, below the folder; gives what loads its records."""
    load, read = records.load, search.read

    def loaded(sweep: str = "pocket_search") -> list[dict[str, Any]]:
        return load(sweep, folder / "records")

    with (
        redirected(folder),
        mock.patch.object(search.records, "load", loaded),
        mock.patch.object(search, "read", lambda name: replace(read(name), trials=trials)),
    ):
        yield loaded


def searched(folder: Path) -> list[Path]:
    return search.search("pocket_search", SMALL, folder / "tuned")


def killed(folder: Path) -> None:
    """Dies in the second trial, by a signal that nothing can catch."""

    def die(_: search.Pruning, __: Point) -> None:
        if list((folder / "records").rglob("*.json")):
            os.kill(os.getpid(), signal.SIGKILL)

    with searching(folder, 2), mock.patch.object(search.Pruning, "__call__", die):
        searched(folder)


def test_a_search_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    process = CONTEXT.Process(target=killed, args=(tmp_path,))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    with searching(tmp_path, 2) as loaded:
        (before,) = loaded()
        searched(tmp_path)
        after = loaded()
    assert before in after, "the finished trial was lost or run again"
    with searching(tmp_path / "whole", 2) as loaded:
        searched(tmp_path / "whole")
        whole = loaded()
    assert [(r["hash"], r["scores"]) for r in after] == [(r["hash"], r["scores"]) for r in whole]
    assert len(after) == 4


def test_a_whole_search_spends_its_budget_and_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    with searching(tmp_path, 2) as loaded:
        files = searched(tmp_path)
        first = loaded()
        assert searched(tmp_path) == files
        assert loaded() == first, "a search that is done runs nothing"
    with searching(tmp_path, 3) as loaded:
        searched(tmp_path)
        after = loaded()
    methods = [r["cell"]["method"] for r in first]
    assert methods == ["finetune"] * 2 + ["ptuning_v2"] * 2
    assert {r["config"]["protocol"]["name"] for r in first} == {"search"}
    assert {r["hash"] for r in first} < {r["hash"] for r in after}
    assert len(after) == 6
    for file, method in zip(files, ("finetune", "ptuning_v2"), strict=True):
        of = [r for r in first if r["cell"]["method"] == method]
        best = max(of, key=lambda r: r["selection"]["score"])
        written = OmegaConf.load(tmp_path / "tuned" / "pocket_sentiment" / file.name)
        scores = {r["config"]["train"]["learning_rate"]: r["selection"]["score"] for r in after}
        assert scores[written.train.learning_rate] >= best["selection"]["score"]


def test_a_study_is_what_its_records_say() -> None:
    found = [
        record(1e-2, 0.9),
        record(2e-2, 0.5, "pruned"),
        record(3e-2, 0.7, "diverged"),
    ]
    study = search._study(found, {KEY: RATE})
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert study.best_params == {KEY: 1e-2}
    assert study.trials[1].intermediate_values == {1: 0.5, 2: 0.5}


def test_what_was_interrupted_is_drawn_again() -> None:
    found = [record(1e-2, 0.9), record(2e-2, 0.5, "interrupted")]
    with mock.patch.object(search.records, "load", return_value=found):
        assert search._of(asked(), CELL) == found[:1]


def test_a_trial_behind_the_median_of_the_others_is_pruned() -> None:
    study = search._study([record(1e-2, s) for s in (0.7, 0.8, 0.9)], {KEY: RATE})
    report = search.Pruning(study.ask({KEY: RATE}))
    with pytest.raises(Pruned, match=r"behind the other trials at epoch 1 with .* 0.1000") as error:
        report(Point(1, 1.0, 0.5, 0.1))
    assert error.value.curve == [{"step": 1, "epoch": 1.0, "loss": 0.5, "score": 0.1}]
    search.Pruning(study.ask({KEY: RATE}))(Point(1, 1.0, 0.5, 0.85))


def test_the_best_point_says_where_it_is_from_and_that_it_lies_on_an_edge(tmp_path: Path) -> None:
    found = [record(1e-2, 0.8), record(9.9e-2, 0.9), record(2e-2, 0.99, "pruned")]
    with mock.patch.object(search.records, "load", return_value=found):
        file = search._write(asked(), CELL, search._study(found, {KEY: RATE}), tmp_path)
    assert file is not None
    assert file == tmp_path / "pocket_sentiment" / "tiny-ptuning_v2.yaml"
    said = file.read_text()
    assert "sweep some_search at 01234567, task pocket_sentiment: best of 3 trials, 1 of" in said
    assert f"{KEY} on an edge of the space" in said
    assert OmegaConf.load(file) == {"train": {"learning_rate": 9.9e-2}}


def test_without_a_finished_trial_nothing_is_written(tmp_path: Path) -> None:
    found = [record(1e-2, 0.8, "diverged")]
    study = search._study(found, {KEY: RATE})
    assert search._write(asked(), CELL, study, tmp_path) is None


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("", r"s\.yaml has no node search .*; `ptbench run sweeps=s` runs"),
        ("search: {space: {}}", "search.trials=None is no whole number from 1"),
        ("search: {trials: 0}", "search.trials=0 is no whole number from 1"),
        ("search: {trials: 2}", "search.space.ptuning_v2 is missing"),
        ("search: {trials: 2, space: {ptuning_v2: {a.b: 3}}}", "search space of a.b: 3 is neither"),
        (
            "search: {trials: 2, space: {ptuning_v2: {a.b: {low: 0, high: 1}}}}",
            "with 0 < low < high",
        ),
    ],
)
def test_a_faulty_node_is_named(tmp_path: Path, node: str, message: str) -> None:
    axes = "hydra: {sweeper: {params: {seed: 0, task: t, model: m, method: ptuning_v2}}}"
    (tmp_path / "s.yaml").write_text(f"# One.\n{node}\n{axes}\n")
    with pytest.raises((ConfigError, SweepError), match=message):
        search.read("s", tmp_path)
