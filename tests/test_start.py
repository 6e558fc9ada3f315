"""A cell that goes on from a task of several data sets: from what exactly, once, and whole."""

import logging
import os
import signal
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ptbench import company, records, sweeps
from ptbench.checkpoints import save
from ptbench.errors import ConfigError
from ptbench.start import StartError
from ptbench.train import Job
from tests.runs import PATIENCE, Bench, Sabotage, meet, stall, write_rows

MULTI = "multi_words"
GO_ON = ("task=wnut17", f"start={MULTI}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder with a little of both data sets of multi_words."""
    bench = Bench(tmp_path)
    words = [{"tokens": f"see x {n} now".split()} for n in range(12)]
    wnut = [{**row, "ner_tags": [0, 9, 0, 0]} for row in words]
    snips = [{**row, "slot_tags": ["O", "B-artist", "I-artist", "O"]} for row in words]
    for split in ("train", "validation", "test"):
        write_rows(bench.data / "wnut17" / f"{split}.jsonl", wnut)
        name = split.replace("validation", "dev")
        write_rows(bench.data / "snips" / f"{name}.jsonl", snips)
    return bench


def record_of(bench: Bench, task: str, start: str | None = None) -> dict[str, Any]:
    (found,) = (
        r
        for r in bench.records()
        if r["cell"]["task"] == task and r["config"].get("start") == start
    )
    return found


def weights(bench: Bench) -> Path:
    (file,) = (bench.folder / "runs").rglob("*.safetensors")
    return file


@pytest.fixture
def beginnings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """What trains, of each job, as it was before the first step."""
    found: list[dict[str, Tensor]] = []
    fit = company.fit

    def watched(jobs: list[Job], accelerator: Any) -> None:
        found.extend(job.model.trained_state() for job in jobs)
        fit(jobs, accelerator)

    monkeypatch.setattr(company, "fit", watched)
    return found


@pytest.mark.parametrize("method", ["ptuning_v2", "prefix_tuning", "ptuning_v1_tuned"])
def test_it_starts_exactly_from_the_saved_prompt_and_its_own_head(
    method: str, bench: Bench, beginnings: list[dict[str, Tensor]]
) -> None:
    record = bench.run(*GO_ON, f"method={method}")
    assert len(beginnings) == 2
    first, begun = beginnings
    saved = load_file(weights(bench))
    of_both = {name for name in first if name.startswith(("prompt.", "backbone."))}
    assert any(not torch.equal(saved[name], first[name]) for name in of_both), "it had trained"
    own = {f"head.parts.wnut17.{n}": f"head.{n}" for n in ("classifier.weight", "classifier.bias")}
    assert set(begun) == of_both | set(own.values()), "an MLP or LSTM goes on as such"
    for name in of_both | set(own):
        assert torch.equal(begun[own.get(name, name)], saved[name]), name
    multi = record_of(bench, MULTI)
    assert record["start"]["task"] == MULTI
    assert record["start"]["hash"] == multi["hash"]
    assert len(record["start"]["sha256"]) == 64


def test_real_words_do_not_overwrite_the_start(
    bench: Bench, beginnings: list[dict[str, Tensor]]
) -> None:
    bench.run(*GO_ON, "method=prompt_tuning", "method.init=vocabulary")
    table = "prompt.encoder.embedding.weight"
    assert torch.equal(beginnings[1][table], load_file(weights(bench))[table])


def test_the_order_in_a_sweep_does_not_matter(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alone = bench.run("task=wnut17")
    after = bench.run(*GO_ON)
    assert record_of(bench, MULTI)["status"] == "done"
    stamp = weights(bench).stat().st_mtime_ns
    bench.run(f"task={MULTI}")
    assert f"{MULTI} tiny ptuning_v2 seed 0: done before, skipped" in caplog.text
    bench.run("task=snips_slots", f"start={MULTI}")
    assert weights(bench).stat().st_mtime_ns == stamp, "trained once"
    assert len(bench.hashes()) == len(bench.files()) == 4
    assert after["hash"] != alone["hash"]
    assert "start" not in alone

    for file in [*bench.files(), weights(bench)]:
        file.unlink()
    before = bench.run(f"task={MULTI}", "rerun=true")
    again = bench.run(*GO_ON)
    assert again["start"] == {**after["start"], "hash": before["hash"]} == after["start"]
    assert again["curve"] == after["curve"]
    assert again["provenance"]["seconds"] < 1000
    assert f"task={MULTI}" in before["provenance"]["command"]


def test_the_start_s_own_settings_decide_its_cell(bench: Bench) -> None:
    record = bench.run(*GO_ON, "train.epochs=1")
    other = bench.run(*GO_ON, "train.epochs=2")
    assert record["start"]["hash"] != other["start"]["hash"]
    assert record["hash"] != other["hash"]
    multi = [r for r in bench.records() if r["cell"]["task"] == MULTI]
    assert {r["config"]["train"]["epochs"] for r in multi} == {1, 2}
    assert all(f"task={MULTI}" in r["provenance"]["command"] for r in multi)


def test_weights_that_are_gone_are_trained_again(bench: Bench) -> None:
    first = bench.run(*GO_ON)
    before = load_file(weights(bench))
    weights(bench).unlink()
    bench.run(*GO_ON)
    assert not list(bench.folder.rglob("*.safetensors")), (
        "nothing is trained for a cell that is done"
    )
    again = bench.run(*GO_ON, "rerun=true")
    assert again["start"] == first["start"]
    after = load_file(weights(bench))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_start_without_this_data_set_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"start=multi_words: multi_words holds wnut17, snips_sl"):
        bench.run("task=sst2", f"start={MULTI}")
    with pytest.raises(ConfigError, match=r"start=trec: trec is one data set; name a task whose"):
        bench.run("task=wnut17", "start=trec")
    with pytest.raises(ConfigError, match=r"start=7 is not the name of a task; name one, or null"):
        bench.run("task=wnut17", "start=7")
    assert bench.files() == []


def test_a_damaged_or_unfit_start_is_named_with_the_remedy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(*GO_ON)
    file = weights(bench)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StartError, match=r"start=multi_words: .* is damaged.* or delete .* anew"):
        bench.run(*GO_ON, "rerun=true")
    file.write_bytes(whole[:100])
    with pytest.raises(StartError, match=r"start=multi_words: .* not a whole checkpoint.*delete"):
        bench.run(*GO_ON, "seed=0", "rerun=true")
    assert record_of(bench, "wnut17", MULTI)["status"] == "done", "the result that was there stays"

    def shorter(model: Any, *rest: Any) -> None:
        model.prompt.encoder = type(model.prompt.encoder)(3, model.prompt.encoder.width)
        save(model, *rest)

    monkeypatch.setattr("ptbench.checkpoints.save", shorter)
    with pytest.raises(StartError, match=r"\(3, 128\) .* in the file, \(16, 128\).*same settings"):
        bench.run(*GO_ON, "seed=1")
    failed = bench.newest()
    assert (failed["status"], failed["cell"]["task"]) == ("failed", "wnut17")
    assert "start=multi_words" in failed["error"]


def test_a_start_that_fails_is_recorded_in_both(bench: Bench) -> None:
    with pytest.raises(StartError, match=r"start=multi_words, multi_words tiny .* seed 0: .*nan"):
        bench.run(*GO_ON, "train.learning_rate=1e30", "train.epochs=2")
    assert {r["cell"]["task"]: r["status"] for r in bench.records()} == {
        MULTI: "diverged",
        "wnut17": "failed",
    }
    assert not list(bench.folder.rglob("*.safetensors"))


def trainings(bench: Bench) -> int:
    return bench.log().count(f"{MULTI} tiny ptuning_v2 seed 0: epoch 1, loss")


def test_two_processes_train_the_start_once(bench: Bench) -> None:
    every = ("-m", "task=wnut17,snips_slots", f"start={MULTI}")
    both = [bench.start(*every, sabotage=meet) for _ in range(2)]
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0], bench.log()
    assert trainings(bench) == 1
    assert [r["status"] for r in bench.records()] == ["done"] * 3
    assert bench.files("*.tmp") == []


def test_a_start_in_another_s_hands_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.run(f"task={MULTI}")
    (file,) = bench.files()
    file.unlink()
    monkeypatch.setattr(records, "RUNS", bench.folder / "runs")
    taken = Event()

    def hold() -> None:
        with records.claimed(file):
            taken.set()
            time.sleep(1)
            logging.getLogger(__name__).info("let go")

    other = Thread(target=hold)
    other.start()
    taken.wait()
    caplog.clear()
    assert bench.run(*GO_ON)["status"] == "done"
    other.join()
    said = [record.getMessage() for record in caplog.records]
    trained = next(n for n, line in enumerate(said) if line.startswith(f"{MULTI} tiny"))
    assert said.index("let go") < trained


def die_before_weights(folder: Path) -> None:
    """Killed when the weights are written, but not in their place."""
    replace = os.replace

    def dying(source: Any, target: Any, **options: Any) -> None:
        if str(target).endswith(".safetensors"):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target, **options)

    os.replace = dying


@pytest.mark.parametrize("sabotage", [stall, die_before_weights])
def test_killed_half_way_leaves_nothing_half_written(bench: Bench, sabotage: Sabotage) -> None:
    process = bench.start(*GO_ON, sabotage=sabotage)
    if sabotage is stall:
        bench.wait_for("stalled")
        process.kill()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    assert not list(bench.folder.rglob("*.safetensors"))
    assert [r["cell"]["task"] for r in bench.records()] == [MULTI] * (sabotage is not stall)
    assert bench.command(*GO_ON) == 0, bench.log()
    assert [r["status"] for r in bench.records()] == ["done"] * 2
    assert trainings(bench) == 1 + (sabotage is not stall)
    assert not list(bench.folder.rglob("*.tmp"))


def test_a_sweep_tells_cells_with_and_without_a_start_apart(bench: Bench) -> None:
    alone, after = bench.run("task=wnut17"), bench.run(*GO_ON)
    axes = {"task": ("wnut17",), "model": ("tiny",), "method": ("ptuning_v2",), "seed": ("0",)}
    sweep = sweeps.Sweep("bench", "", {**axes, "start": ("null", MULTI)})
    without = {key: value for key, value in alone["config"].items() if key != "start"}
    old = {**alone, "config": without}  # as records were before there were starts
    for first in (alone, old):
        places = sweeps.gather([first, after], sweep)
        assert list(places.values()) == [[first], [after]]
    seen = sweeps.observed([alone, after])
    assert len(sweeps.gather([alone, after], seen)) == 2, "without a sweep file too"
    assert [sweeps.setting_text(sweep, place) for place in places] == ["", f"start {MULTI}"]
