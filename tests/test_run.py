"""One cell from the command to its record, and what a sweep does when a cell fails."""

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from ptbench import records, run
from ptbench.errors import DataError
from ptbench.paths import ROOT
from tests.runs import Bench, composed

MADE = ("task=pocket_sentiment", "task.train=20", "task.validation=6", "task.test=6")
PARTS = {
    "version": set(),
    "hash": set(),
    "cell": {"task", "model", "method", "seed"},
    "status": set(),
    "error": set(),
    "config": {"method", "task", "model", "train", "protocol", "data", "seed", "sweep", "cell"},
    "adaptation": {"title", "prompt", "encoder", "head", "backbone"},
    "scores": {"test"},
    "floor": {"test"},
    "random_floor": {"test"},
    "jackknife": {"references", "scores"},
    "selection": {"split", "metric", "step", "score"},
    "rows": {"train", "select", "report"},
    "left_out": {"train", "select", "report"},
    "curve": set(),
    "cost": {
        "trainable_parameters",
        "stored_parameters",
        "total_parameters",
        "train_seconds",
        "seconds_per_step",
        "peak_memory_bytes",
    },
    "provenance": {
        "commit",
        "dirty",
        "command",
        "packages",
        "device",
        "model",
        "data",
        "time",
        "seconds",
    },
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_made_task_gives_a_whole_record(bench: Bench) -> None:
    record = bench.run(*MADE, "data.root=null", "train.epochs=2")
    assert set(record) == set(PARTS)
    for part, fields in PARTS.items():
        assert not fields or set(record[part]) >= fields, part
    assert (record["status"], record["error"]) == ("done", None)
    assert record["rows"] == {"train": 20, "select": 6, "report": 6}
    assert [point["epoch"] for point in record["curve"]] == [1, 2]
    assert record["scores"]["test"]["accuracy"] in [n / 6 for n in range(7)]
    assert record["floor"]["test"]["accuracy"] == 0.5
    assert record["random_floor"]["test"]["accuracy"] == 0.5
    assert record["selection"]["score"] == max(point["score"] for point in record["curve"])
    cost = record["cost"]
    assert 0 < cost["trainable_parameters"] < cost["total_parameters"]
    assert cost["seconds_per_step"] * 4 == pytest.approx(cost["train_seconds"])
    assert cost["peak_memory_bytes"] > 1e7


def test_provenance_says_which_code_and_data(bench: Bench) -> None:
    found = bench.run()["provenance"]
    if (ROOT / ".git").exists():
        assert re.fullmatch("[0-9a-f]{40}", found["commit"])
        assert found["dirty"] in (True, False)
    assert {"torch", "transformers", "datasets", "accelerate"} <= set(found["packages"])
    assert found["device"] == "cpu"
    assert found["data"].startswith("sha256:")
    assert found["command"].startswith("ptbench run model=tiny task=sst2")


def test_without_git_a_run_is_recorded_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    found = bench.run()["provenance"]
    assert (found["commit"], found["dirty"]) == (None, None)


def places(bench: Bench) -> list[str]:
    here = [bench.folder, ROOT, Path.home(), sys.prefix, socket.gethostname()]
    return [str(place) for place in here if len(str(place)) > 1]


def test_a_record_names_no_place_and_no_user(bench: Bench) -> None:
    text = json.dumps(bench.run())
    assert [place for place in places(bench) if place in text] == []
    assert re.findall(r'["= ](/\w[^"]*)', text) == []
    assert "data.root=<folder>" in text


def fail(*_: Any) -> None:
    raise RuntimeError(f"in the middle of {Path.cwd()}")


def test_the_record_of_a_failure_names_no_place_either(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.data)
    monkeypatch.setattr("ptbench.company.fit", fail)
    with pytest.raises(RuntimeError):
        bench.run()
    (bench.data / "sst2" / "validation.jsonl").unlink()
    with pytest.raises(DataError):
        bench.run("seed=1")
    for record in bench.records():
        assert record["status"] == "failed"
        assert [place for place in places(bench) if place in json.dumps(record)] == []
    assert "test_run.py" in bench.records()[0]["error"], "the traceback is there"
    assert "<data.root>/sst2/validation.jsonl is missing" in bench.records()[1]["error"]


def test_a_local_model_is_recorded_without_its_folder(tmp_path: Path) -> None:
    config = composed("task=sst2", "model=minilm", f"model.name={tmp_path}")
    assert run.portable(config)["model"]["name"] == "local"
    assert str(tmp_path) not in run.command()


def test_a_finished_cell_is_skipped_and_rerun_trains_it_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = bench.run()
    (file,) = bench.files()
    stamp = file.stat().st_mtime_ns
    caplog.clear()
    bench.run()
    assert file.stat().st_mtime_ns == stamp
    assert "sst2 tiny ptuning_v2 seed 0: done before, skipped (rerun=true" in caplog.text
    after = bench.run("rerun=true")
    assert bench.files() == [file]
    assert file.stat().st_mtime_ns > stamp
    assert after["scores"] == before["scores"]
    assert after["curve"] == before["curve"], "the same seed gives the same run"


def test_another_seed_is_another_record(bench: Bench) -> None:
    curves = [bench.run(f"seed={seed}")["curve"] for seed in (0, 1)]
    assert len(bench.files()) == 2
    assert curves[0] != curves[1]


def test_a_cell_that_failed_is_trained_when_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("ptbench.company.fit", fail)
        with pytest.raises(RuntimeError):
            bench.run()
    assert bench.newest()["status"] == "failed"
    assert bench.run()["status"] == "done"


def test_a_rerun_that_fails_keeps_the_result(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.run()
    monkeypatch.setattr("ptbench.company.fit", fail)
    with pytest.raises(RuntimeError):
        bench.run("rerun=true")
    assert bench.records() == [before]
    assert bench.files("*.tmp") == []


def test_a_sweep_goes_on_after_a_cell_that_fails(bench: Bench) -> None:
    rates = "train.learning_rate=1e-2,1e30,1e-3"
    assert bench.command("-m", "train.epochs=3", rates) == 1
    found = {r["config"]["train"]["learning_rate"]: r for r in bench.records()}
    assert {rate: record["status"] for rate, record in found.items()} == {
        1e-2: "done",
        1e30: "diverged",
        1e-3: "done",
    }
    assert "train.learning_rate=1e+30" in found[1e30]["error"]
    assert "sst2 tiny ptuning_v2 seed 0: diverged: " in bench.log(), "said when it happened"


def test_a_cell_that_another_process_trains_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.run()
    (file,) = bench.files()
    file.unlink()
    monkeypatch.setattr(records, "RUNS", bench.folder / "runs")
    with records.claimed(file), pytest.raises(ValueError, match="empty"):
        bench.run()
    assert "is being trained by another process; skipped" in caplog.text
