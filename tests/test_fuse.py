"""Cells that share their passes by `fuse=`: records as if each had trained alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ptbench import answers, fuse, train
from ptbench.errors import ConfigError
from ptbench.models import Pretrained
from ptbench.run import plan
from tests.conftest import TINY
from tests.runs import Bench, composed, redirected

CELLS = ("-m", "method=ptuning_v2,prompt_tuning,linear_probe,finetune", "seed=0,1")
REPORTED = 6  # rows, as many as no other split of the bench has
STILL = ("method.backbone_dropout=false", "train.epochs=3")


def by_hash(bench: Bench) -> dict[str, Any]:
    return {record["hash"]: record for record in bench.records()}


def test_fused_cells_have_the_records_that_they_have_alone(tmp_path: Path) -> None:
    fused, apart = Bench(tmp_path / "fused"), Bench(tmp_path / "apart")
    assert fused.command(*CELLS, *STILL, "fuse=8") == 0, fused.log()
    assert apart.command(*CELLS, *STILL) == 0, apart.log()
    found, expected = by_hash(fused), by_hash(apart)
    assert set(found) == set(expected)
    assert len(found) == 8
    for hash8, record in found.items():
        alone = expected[hash8]
        method, seed = record["cell"]["method"], record["cell"]["seed"]
        assert record["status"] == alone["status"] == "done"
        assert record["scores"] == alone["scores"]
        for here, there in zip(record["curve"], alone["curve"], strict=True):
            assert here == {**there, "loss": pytest.approx(there["loss"], abs=1e-4)}
        beside = {h for h, r in found.items() if r["cell"]["seed"] == seed and "fused" in r}
        # tiny draws its weights by the seed, so that other seeds have another backbone
        assert ("fused" in record) is (method != "finetune")
        if method != "finetune":
            assert set(record["fused"]["with"]) == beside - {hash8}
            assert record["fused"]["jobs_per_pass"] == 3
    assert fused.command(*CELLS, *STILL, "fuse=auto") == 0
    assert fused.log().count("done before, skipped") == 8


def test_a_cell_that_diverges_is_recorded_and_the_others_finish(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rates = ("-m", "train.learning_rate=1e-2,1e30,1e-3", "train.epochs=2")
    assert bench.command(*rates, "fuse=auto") == 1
    status = {r["config"]["train"]["learning_rate"]: r["status"] for r in bench.records()}
    assert status == {1e-2: "done", 1e30: "diverged", 1e-3: "done"}
    assert "1 of 3 cells failed" in bench.log()


def speechless(folder: Path) -> None:
    """A model with a prefix of three has no answers to the reported split."""
    answer = train.answer

    def answered(asked: Sequence[answers.Asked]) -> list[list[Any]]:
        lengths = [getattr(one.model.prompt.encoder, "length", None) for one in asked]
        if len(asked[0].features) == REPORTED and 3 in lengths:
            raise RuntimeError("no answer")
        return answer(asked)

    train.answer = answered


def test_a_cell_that_cannot_answer_is_recorded_and_the_others_finish(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lengths = ("-m", "method.prefix_length=2,3,4", "fuse=3")
    assert bench.command(*lengths, sabotage=speechless) == 1
    found = bench.records()
    status = {r["config"]["method"]["prefix_length"]: r["status"] for r in found}
    assert status == {2: "done", 3: "failed", 4: "done"}
    (error,) = (record["error"] for record in found if record["error"])
    assert "no answer" in error


@pytest.mark.parametrize("asked", ["fuse=0", "fuse=all", "fuse=true"])
def test_a_width_that_is_none_is_told(asked: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a number of cells, auto, or off"):
        Bench(tmp_path).run(asked)


def test_another_launcher_is_refused() -> None:
    config = composed("fuse=2", "hydra/launcher=joblib")
    from ptbench.run import main

    with pytest.raises(ConfigError, match=r"add hydra/launcher=basic"):
        main(config)


def test_groups_of_one_model_load_it_once_and_measure_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, folder = Bench(tmp_path), tmp_path / "bert"
    backbone = TINY.load()
    for part in (backbone.model, backbone.tokenizer):
        part.save_pretrained(folder)
    loads, asked = [], []
    load, fit = Pretrained.load, fuse.fit
    monkeypatch.setattr(Pretrained, "load", lambda model: loads.append(model) or load(model))
    monkeypatch.setattr(fuse, "fit", lambda *given: asked.append(given[2]) or fit(*given))
    cell = [one for one in bench.cell if not one.startswith("model=")]
    cell += ["model=bert_base_uncased", f"model.name={folder}", "model.pooling=first"]
    queue = fuse.Queue()
    queue.most = 2
    with redirected(tmp_path):
        queue.plans = [plan(composed(*cell, f"seed={seed}")) for seed in range(5)]
        queue.train()
    assert [record["status"] for record in bench.records()] == ["done"] * 5
    assert len(loads) == 1
    assert asked[0] is None and asked[1] in (1, 2), "measured, and known by the next group of two"
    assert asked[2:] == [None], "one cell alone is another matter"
