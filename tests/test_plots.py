"""Plots: there, drawn the same twice, and one look for a method everywhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptbench import plots
from ptbench.summary import table
from ptbench.sweeps import Sweep, SweepError

METHODS = ("finetune", "ptuning_v2")
SWEEP = Sweep(
    "pair", "", {"task": ("red", "blue"), "model": ("tiny",), "method": METHODS, "seed": ("0", "1")}
)


def record(method: str, seed: int, epochs: int) -> dict[str, Any]:
    """A finished record on the task red; none is on blue, so that its panel is empty."""
    score = 0.8 + seed / 10
    return {
        "hash": "0" * 8,
        "cell": {"task": "red", "model": "tiny", "method": method, "seed": seed},
        "status": "done",
        "adaptation": {"title": method},
        "config": {"protocol": {"name": "fair"}},
        "scores": {"test": {"accuracy": score}},
        "floor": {"test": {"accuracy": 0.5}},
        "selection": {"split": "held out", "metric": "accuracy"},
        "curve": [{"epoch": float(e), "score": score - 1 / (e + 2)} for e in range(epochs)],
        "cost": {"trainable_parameters": 10 * len(method), "total_parameters": 1000},
        "provenance": {"commit": "0" * 40, "dirty": False},
    }


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return [record(method, seed, epochs=4 + seed) for method in METHODS for seed in (0, 1)]


def test_both_figures_are_drawn_and_their_files_are_the_same_twice(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = plots.plot(records, SWEEP, tmp_path / "first")
    second = plots.plot(records, SWEEP, tmp_path / "second")
    figures = ["pair-score.png", "pair-score.svg", "pair-curves.png", "pair-curves.svg"]
    assert [path.name for path in first] == figures
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="ptbench run sweeps=pair"):
        plots.plot([], SWEEP, tmp_path)


def test_every_method_has_its_own_look() -> None:
    looks = plots.styles([f"method{place}" for place in range(20)])
    assert len(set(looks.values())) == len(looks)
    # Curves have no markers.
    assert len({(look.colour, look.line) for look in looks.values()}) == len(looks)


def test_a_method_looks_the_same_in_every_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "method").mkdir()
    for method in METHODS:
        (tmp_path / "method" / f"{method}.yaml").touch()
    monkeypatch.setattr(plots, "CONF", tmp_path)
    last = METHODS[-1]
    assert plots.styles([last])[last] == plots.styles(METHODS)[last]


def test_a_sweep_that_is_not_whole_promises_no_number_of_seeds(
    records: list[dict[str, Any]],
) -> None:
    whole = replace(SWEEP, axes={**SWEEP.axes, "task": ("red",)})
    assert table(records, whole).whole
    assert not table(records[:-1], whole).whole
    assert not table(records, SWEEP).whole
