"""The summary over tasks: worked by hand, and only where there is a scale."""

from typing import Any

from ptbench import overall, summary, tables
from ptbench.forms import Section
from ptbench.sweeps import Sweep
from tests.recorded import whole

GRIDS = {"finetune": ("-", "trained"), "ptuning_v2": ("keys", "frozen"), "probe": ("-", "frozen")}


def records(
    task: str, method: str, *scores: float, floor: float | None = 0.5
) -> list[dict[str, Any]]:
    prompt, backbone = GRIDS[method]
    grid = {"title": method, "prompt": prompt, "backbone": backbone}
    return [
        whole(
            seed,
            score,
            cell={"task": task, "model": "tiny", "method": method, "seed": seed},
            adaptation={**dict.fromkeys(("encoder", "head"), "-"), **grid},
            floor=None if floor is None else {"test": {"accuracy": floor}},
        )
        for seed, score in enumerate(scores)
    ]


def section(
    found: list[dict[str, Any]], *tasks: str, seeds: int = 2, **axes: Any
) -> Section | None:
    every = tuple(map(str, range(seeds)))
    cell = {"task": tasks, "model": ("tiny",), "method": ("finetune", "ptuning_v2"), "seed": every}
    return overall.section(summary.table(found, Sweep("pair", "", {**cell, **axes})))


# red: floor 50, fine-tuning 90; P-tuning v2 has 70 and 80, so 0.5 and 0.75 of the way.
# blue: floor 50, fine-tuning 60; P-tuning v2 has 65 and 65: 1.5 of the way.
RED = [*records("red", "finetune", 0.9, 0.9), *records("red", "ptuning_v2", 0.7, 0.8)]
BLUE = [*records("blue", "finetune", 0.6, 0.6), *records("blue", "ptuning_v2", 0.65, 0.65)]


def test_scores_ranks_and_improvement_are_those_worked_by_hand() -> None:
    found = section([*RED, *BLUE], "red", "blue")
    assert found is not None
    assert found.lines == [
        ["method", "normalised", "IQM", "mean rank", "P(better)"],
        ["finetune", "1.00", "1.00 [1.00, 1.00]", "1.50 [1.50, 1.50]", "-"],
        # (0.625 + 1.5) / 2; one seed of two drawn gives (0.5 + 1.5) / 2 or (0.75 + 1.5) / 2
        ["ptuning_v2", "1.06", "1.06 [1.00, 1.12]", "1.50 [1.50, 1.50]", "0.50 [0.50, 0.50]"],
    ]
    told = " ".join(found.caption)
    assert "Rests on red, blue, and on 2 seeds." in told
    assert "10.0 points or more apart (blue)" in told
    assert "With fewer than 10 seeds they are too narrow to be trusted." in told


def test_one_seed_has_no_intervals_and_says_so() -> None:
    one = [record for record in [*RED, *BLUE] if record["cell"]["seed"] == 0]
    found = section(one, "red", "blue", seeds=1)
    assert found is not None
    assert found.lines[2] == ["ptuning_v2", "1.00", "1.00", "1.50", "0.50"]
    assert "1 seed, so without intervals" in found.caption[0]
    assert len(found.caption) == 1


def test_tasks_without_a_scale_are_left_out_by_name_and_reason() -> None:
    flat = [*records("flat", "finetune", 0.5, 0.5), *records("flat", "ptuning_v2", 0.6, 0.6)]
    open_ = [
        *records("open", "finetune", 0.9, 0.9, floor=None),
        *records("open", "ptuning_v2", 0.6, 0.6, floor=None),
    ]
    half = records("half", "finetune", 0.9, 0.9)
    found = section([*RED, *BLUE, *flat, *open_, *half], "red", "blue", "flat", "open", "half")
    assert found is not None
    assert found.caption[-1] == (
        "Left out: flat: fine-tuning not above the floor; open: no floor; "
        "half: not all cells finished."
    )


def test_there_is_none_without_two_tasks_or_fine_tuning() -> None:
    assert section(RED, "red") is None
    assert section([*RED, *records("blue", "finetune", 0.4, 0.4)], "red", "blue") is None
    other = [*records("red", "probe", 0.8, 0.8), *records("blue", "probe", 0.8, 0.8)]
    assert section(other, "red", "blue", method=("probe",)) is None


def test_the_table_shows_it_before_the_methods() -> None:
    text = tables.to_markdown(summary.table([*RED, *BLUE], None))
    assert text.index("## Over tasks") < text.index("## Methods")
