"""Marks in tables: which methods a test cannot tell from the best, and where there is no test."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ptbench import sweeps, tables
from ptbench.paired import holm, t_test
from ptbench.separable import LEVEL, separation
from ptbench.sweeps import Place, Sweep
from tests.runs import Bench, redirected
from tests.test_tables import SWEEP, record

GROUPS = 20


def compared(
    task: str, method: str, seed: int, mean: float, model: str = "tiny", **changes: Any
) -> dict[str, Any]:
    """A record whose score deviates from the mean by a point over seeds, and over examples."""
    score = mean + 0.01 * (seed - 1)
    scores = (score + 0.001 * np.linspace(-1, 1, GROUPS)[::-1]).tolist()
    made = record(task, method, seed, score, **changes)
    made["cell"]["model"] = model
    return made | {"jackknife": {"references": f"{task:.8}", "scores": scores}}


def column(task: str, means: dict[str, float], model: str = "tiny") -> list[dict[str, Any]]:
    return [
        compared(task, method, seed, mean, model)
        for method, mean in means.items()
        for seed in range(3)
    ]


CLEAR = {"finetune": 0.9, "ptuning_v2": 0.5}
CLOSE = {"finetune": 0.895, "ptuning_v2": 0.9}


@pytest.fixture
def pair(tmp_path: Path) -> Sweep:
    (tmp_path / "pair.yaml").write_text(SWEEP)
    return sweeps.read("pair", tmp_path)


def vary(records: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """Examples on which methods differ, so that not only seeds do."""
    draw = np.random.default_rng(seed)
    for one in records:
        score = one["scores"]["test"]["accuracy"]
        one["jackknife"]["scores"] = (score + 0.002 * draw.normal(size=GROUPS)).tolist()
    return records


def test_what_is_not_separable_from_the_best_is_marked(pair: Sweep) -> None:
    text = tables.to_markdown(
        tables.table(vary([*column("red", CLEAR), *column("blue", CLOSE)]), pair)
    )
    assert "| Fine-tuning | **90.0 ± 1.0** | 89.5 ± 1.0 † |" in text
    assert "| P-tuning v2 | 50.0 ± 1.0 | **90.0 ± 1.0** |" in text
    line = (
        "\n- †: not separable from the best of its column at level 0.05 (t test paired by seed and "
        "example, Holm's adjustment over all pairs of methods in the table).\n"
    )
    assert line in text


def test_csv_has_the_adjusted_p_of_all_but_the_best(pair: Sweep) -> None:
    records = vary([*column("red", CLEAR), *column("blue", CLOSE)])
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(tables.table(records, pair)))))
    found = {(line["task"], line["method"]): line["p_best"] for line in lines}
    assert found["red", "finetune"] == found["blue", "ptuning_v2"] == ""
    assert float(found["red", "ptuning_v2"]) < LEVEL < float(found["blue", "finetune"])


def test_p_is_holms_over_all_pairs_of_the_table() -> None:
    """Three methods on one task and two on another: 3 + 1 tests."""
    means = {"a": 0.9, "b": 0.895, "c": 0.88}
    records = vary(
        [compared("red", "finetune", s, m, name) for name, m in means.items() for s in (0, 1, 2)]
    )
    records += vary(column("blue", CLOSE), 1)
    places: dict[Place, list[Any]] = {}
    for one in records:
        cell = one["cell"]
        key = Place(cell["task"], "same", cell["model"] + cell["method"], ())
        places.setdefault(key, []).append(one)

    def raw(first: Place, second: Place) -> float:
        scores, rest = (
            [np.array([look(r) for r in places[place]]) for place in (first, second)]
            for look in (
                lambda r: r["scores"]["test"]["accuracy"],
                lambda r: r["jackknife"]["scores"],
            )
        )
        return float(t_test(scores[0] - scores[1], rest[0] - rest[1]).p)

    a, b, c, d, e = places
    pairs = [(a, b), (a, c), (b, c), (d, e)]
    adjusted = holm(np.array([raw(*pair) for pair in pairs]))
    expected = {b: adjusted[0], c: adjusted[1], d: adjusted[3]}
    assert separation(places).p == pytest.approx(expected)


def test_records_without_a_jackknife_leave_the_table_as_it_was(pair: Sweep) -> None:
    records = [*column("red", CLEAR), *column("blue", CLOSE)]
    for one in records:
        del one["jackknife"]
    table = tables.table(records, pair)
    assert not table.tested
    assert "†" not in tables.to_markdown(table)
    assert "p_best" not in tables.to_csv(table)


@pytest.mark.parametrize("spoil", ["one is old", "other examples", "too few", "a seed in common"])
def test_a_column_that_allows_no_test_is_named(spoil: str, pair: Sweep) -> None:
    red, blue = vary(column("red", CLEAR)), vary(column("blue", CLOSE))
    if spoil == "one is old":
        blue[0].pop("jackknife")
    elif spoil == "other examples":
        blue[0]["jackknife"]["references"] = "other"
    elif spoil == "too few":
        for one in blue:
            one["jackknife"]["scores"] = []
    else:
        blue = [
            one for one in blue if one["cell"]["seed"] == 0 or one["cell"]["method"] != "finetune"
        ]
    table = tables.table([*red, *blue], pair)
    text = tables.to_markdown(table)
    assert "methods in the table). Not tested: blue.\n" in text
    assert "† |" not in text
    both = tables.table([*red, *blue, *vary(column("red", CLOSE, "large"))], None)
    assert "Not tested: blue (tiny).\n" in tables.to_markdown(both)


def test_a_seed_that_failed_is_left_out_of_the_test_for_all(pair: Sweep) -> None:
    records = vary(column("red", {"finetune": 0.9, "ptuning_v2": 0.85}))
    records[0] |= record("red", "finetune", 0, None, "diverged")
    two = [r for r in records if r["cell"]["seed"] > 0]
    found, expected = (tables.table(some, pair).rows[1].entries[0].p for some in (records, two))
    assert found is not None
    assert found == pytest.approx(expected)


def test_tables_of_equal_methods_rarely_separate_any() -> None:
    """Six methods that are equal, three seeds; the best is the one that seems so."""
    draw, wrong, tables_ = np.random.default_rng(0), 0, 300
    for _ in range(tables_):
        example = draw.normal(size=GROUPS)
        places: dict[Place, list[Any]] = {}
        for method in range(6):
            for seed in range(3):
                parts = 0.05 * draw.normal() + 0.3 * (
                    example + draw.normal(size=(2, GROUPS)).sum(0)
                )
                rest = (parts.sum() - parts) / (GROUPS - 1)
                one = record("red", "finetune", seed, float(parts.mean()))
                one["jackknife"] = {"references": "0", "scores": rest.tolist()}
                places.setdefault(Place("red", "tiny", str(method), ()), []).append(one)
        wrong += any(p < LEVEL for p in separation(places).p.values())
    assert stats.binomtest(wrong, tables_, LEVEL, alternative="greater").pvalue > 0.001


def test_a_sweep_from_training_to_its_marks(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for method in ("finetune", "linear_probe"):
        for seed in (0, 1):
            bench.run(f"method={method}", f"seed={seed}")
    with redirected(tmp_path):
        table = tables.table(bench.records(), None)
    assert table.tested
    assert table.untested == ()
    assert "†: not separable" in tables.to_markdown(table)
