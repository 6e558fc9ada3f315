"""Plots: there, drawn the same twice, and one look for a method everywhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from ptbench import figures, plots
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
        "cost": {
            "trainable_parameters": 10 * len(method),
            "total_parameters": 1000,
            "seconds_per_step": 0.5,
            "peak_memory_bytes": 10**9,
        },
        "provenance": {"commit": "0" * 40, "dirty": False},
    }


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return [record(method, seed, epochs=4 + seed) for method in METHODS for seed in (0, 1)]


def test_figures_are_drawn_and_their_files_are_the_same_twice(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = plots.plot(records, SWEEP, tmp_path / "first")
    second = plots.plot(records, SWEEP, tmp_path / "second")
    names = [f"pair-{name}.{end}" for name in ("score", "cost", "curves") for end in ("png", "svg")]
    assert [path.name for path in first] == names
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")


def test_an_axis_has_numbers_however_near_the_sizes_are(records: list[dict[str, Any]]) -> None:
    for place, made in enumerate(records):
        made["cost"]["trainable_parameters"] = 184_320 + place
    axes = plots.draw(records, SWEEP)["pair-score"].axes[0]
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) > 1


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
    monkeypatch.setattr(figures, "CONF", tmp_path)
    last = METHODS[-1]
    assert plots.styles([last])[last] == plots.styles(METHODS)[last]


def test_a_sweep_that_is_not_whole_promises_no_number_of_seeds(
    records: list[dict[str, Any]],
) -> None:
    whole = replace(SWEEP, axes={**SWEEP.axes, "task": ("red",)})
    assert table(records, whole).whole
    assert not table(records[:-1], whole).whole
    assert not table(records, SWEEP).whole


def of_length(length: int, model: str = "tiny") -> dict[str, Any]:
    """A record of a cell whose prompt has that length, which is its score in points."""
    made = record("ptuning_v2", 0, 2)
    cell = {**made["cell"], "model": model}
    config = {**made["config"], "method": {"length": length}}
    cost = {**made["cost"], "total_parameters": 10 * len(model)}
    scores = {"test": {"accuracy": length / 100}}
    return {**made, "cell": cell, "config": config, "scores": scores, "cost": cost}


def line(figure: Figure) -> tuple[list[float], list[float]]:
    """Where the first line of the first panel goes."""
    drawn = next(line for line in figure.axes[0].lines if line.get_marker() in figures.MARKERS)
    return list(drawn.get_xdata()), [round(y, 6) for y in drawn.get_ydata()]  # pyright: ignore


def test_a_setting_of_three_values_gets_a_figure_over_it() -> None:
    axes = {**SWEEP.axes, "task": ("red",), "method": ("ptuning_v2",), "seed": ("0",)}
    lengths = replace(SWEEP, axes={**axes, "method.length": ("40", "4", "8")})
    drawn = plots.draw([of_length(length) for length in (4, 8, 40)], lengths)
    assert set(drawn) == {"pair-score", "pair-cost", "pair-curves", "pair-length"}
    over = drawn["pair-length"]
    assert line(over) == ([4, 8, 40], [4, 8, 40])
    assert over.axes[0].get_xscale() == "log"
    two = replace(SWEEP, axes={**axes, "method.length": ("4", "8")})
    assert "pair-length" not in plots.draw([of_length(4), of_length(8)], two)


def test_the_curves_of_two_settings_are_told_apart() -> None:
    axes = {**SWEEP.axes, "task": ("red",), "method": ("ptuning_v2",), "seed": ("0",)}
    two = replace(SWEEP, axes={**axes, "method.length": ("4", "null")})
    curves = plots.draw([of_length(4)], two)["pair-curves"]
    assert [line.get_linestyle() for line in curves.axes[0].lines] == ["-", "--"]
    (legend,) = curves.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["ptuning_v2", "length 4", "length not set"]


def test_words_of_a_setting_stand_in_the_order_of_the_sweep() -> None:
    axes = {**SWEEP.axes, "task": ("red",), "method": ("ptuning_v2",), "seed": ("0",)}
    words = replace(SWEEP, axes={**axes, "method.length": ("null", "4", "40")})
    over = plots.draw([of_length(length) for length in (4, 40)], words)["pair-length"]
    assert line(over) == ([1, 2], [4, 40])
    assert [text.get_text() for text in over.axes[0].get_xticklabels()] == ["null", "4", "40"]


def test_several_models_get_a_figure_over_their_sizes() -> None:
    axes = {"task": ("red",), "model": ("tiny", "larger"), "method": ("ptuning_v2",)}
    sizes = replace(SWEEP, axes={**axes, "seed": ("0",)})
    drawn = plots.draw([of_length(30, "larger"), of_length(20, "tiny")], sizes)
    assert line(drawn["pair-scale"]) == ([40, 60], [20, 30])
