"""A sweep whose task has parts: one score a seed, the mean over the parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptbench import plots, report, sweeps, tables
from ptbench.macro import averaged
from ptbench.sweeps import Sweep, SweepError, gather, score
from tests.recorded import whole
from tests.test_tables import SWEEP, record

PARTS = {"P1": 0.2, "P2": 0.6}


@pytest.fixture
def pair(tmp_path: Path) -> Sweep:
    text = SWEEP.replace("sweep: pair", "sweep: pair\nmean: task.part")
    text = text.replace("red,blue", "red\n      task.part: P1,P2")
    (tmp_path / "pair.yaml").write_text(text)
    return sweeps.read("pair", tmp_path)


def part(name: str, seed: int, value: float | None, **changes: Any) -> dict[str, Any]:
    made = record("red", "ptuning_v2", seed, value, "failed" if value is None else "done")
    config = {**made["config"], "task": {"part": name}}
    return {**made, "hash": f"{name}{seed}", "config": config, **changes}


def parts(last: float | None = 0.6) -> list[dict[str, Any]]:
    return [
        part(name, seed, last if (name, seed) == ("P2", 2) else value + seed / 10)
        for name, value in PARTS.items()
        for seed in range(3)
    ]


def test_a_seeds_score_is_the_mean_over_the_parts(pair: Sweep) -> None:
    table = tables.table(parts(0.8), pair)
    (row,) = [row for row in table.rows if row.method == "ptuning_v2"]
    # by hand: seed 0 (20 + 60) / 2, seed 1 (30 + 70) / 2, seed 2 (40 + 80) / 2
    assert row.entries[0].values == pytest.approx((40.0, 50.0, 60.0))
    assert row.setting == "" and len(table.rows) == 2
    assert "Each seed's score is the mean over 2 values of task.part." in table.notes


def test_a_seed_that_lacks_a_part_has_no_score_and_says_what_it_has(pair: Sweep) -> None:
    made = {r.method: r for r in tables.table(parts(None), pair).rows}["ptuning_v2"]
    assert made.entries[0].values == pytest.approx((40.0, 50.0))
    assert made.entries[0].text(3) == "45.0 ± 7.1 (n=2, 1 1 of 2 parts)"


def test_the_mean_without_a_group_of_examples_is_that_of_the_examples_left(pair: Sweep) -> None:
    right = {"P1": np.array([1.0, 0, 0, 1]), "P2": np.array([1.0, 1, 1, 0])}
    records = [
        part(
            name,
            0,
            float(values.mean()),
            jackknife={
                "references": name,
                "scores": [float(np.delete(values, n).mean()) for n in range(4)],
            },
        )
        for name, values in right.items()
    ]
    places, _ = averaged(gather(records, pair), pair)
    ((one,),) = [group for group in places.values() if group]
    assert score(one) == pytest.approx(0.625)
    direct = [np.delete(right["P1"], n).mean() / 2 + 0.375 for n in range(4)]
    direct += [0.25 + np.delete(right["P2"], n).mean() / 2 for n in range(4)]
    assert one["jackknife"] == {"references": "P1 P2", "scores": pytest.approx(direct)}


def test_plots_and_reports_show_the_mean_and_reports_each_part(pair: Sweep) -> None:
    config = {"sweep": "pair", "protocol": {"name": "fair"}, "data": {}, "train": {}}
    records = [
        whole(n, 0.5, config={**config, "seed": 0, "task": {"part": name}})
        | {"cell": {"task": "red", "model": "tiny", "method": "finetune", "seed": 0}}
        for n, name in enumerate(PARTS)
    ]
    assert set(plots.draw(records, pair)) == {"pair-score", "pair-cost", "pair-curves"}
    page = report.page(records, pair)
    assert all(f"part {name}" in page for name in PARTS)


def test_the_mean_is_over_a_setting_of_the_sweep(tmp_path: Path) -> None:
    for mean in ("task.parts", "seed"):
        (tmp_path / "pair.yaml").write_text(SWEEP.replace("pair\n", f"pair\nmean: {mean}\n", 1))
        with pytest.raises(SweepError, match=rf"pair\.yaml: mean={mean} is no setting in hydra"):
            sweeps.read("pair", tmp_path)


def test_a_sweep_that_starts_from_another_averages_as_that_does() -> None:
    assert sweeps.read("ptv1_lama_cpu").mean == sweeps.read("ptv1_lama").mean == "task.relation"
