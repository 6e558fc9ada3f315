"""Methods summed up over tasks, on a scale from the floor to fine-tuning."""

from typing import TYPE_CHECKING, NamedTuple

from ptbench.forms import Section
from ptbench.paper import PLAIN
from ptbench.summary import DASH, Row, Table

if TYPE_CHECKING:
    from ptbench.statistics import Estimate

FEW = 10  # seeds: below, an interval from a bootstrap over them is too narrow
HEADER = ("normalised", "IQM", "mean rank", "P(better)")


class Scale(NamedTuple):
    """A model's rows, their fine-tuning, and on which tasks it is above the floor."""

    rows: list[Row]
    tuned: Row
    tasks: list[int]  # places of their columns
    left_out: dict[str, str]  # tasks, with the reason


def section(table: Table) -> Section | None:
    """One line a row of each model with two tasks on a scale; None where there is no such model."""
    models = table.sweep.axes["model"]
    found = [scale for model in models if (scale := _scale(table, model))]
    scales = [scale for scale in found if len(scale.tasks) > 1]
    if not scales:
        return None
    names = ["model", "method"][-1 if len(models) == 1 else 0 :]
    lines = [[*names, *HEADER]]
    for scale in scales:
        texts = _texts(table, scale)
        lines += [
            [*[row.model, row.label][-len(names) :], *text]
            for row, text in zip(scale.rows, texts, strict=True)
        ]
    numbers = range(len(names), len(names) + len(HEADER))
    return Section("Over tasks", lines, numbers, tuple(_caption(table, scales)))


def _scale(table: Table, model: str) -> Scale | None:
    rows = [row for row in table.rows if row.model == model]
    tuned = next((row for row in rows if _fine_tuning(row)), None)
    if tuned is None:
        return None
    scale = Scale(rows, tuned, [], {})
    for place, column in enumerate(table.columns):
        ours = tuned.entries[place].mean
        if any(len(row.entries[place].values) != table.seeds for row in rows):
            scale.left_out[column.task] = "not all cells finished"
        elif column.floor is None:
            scale.left_out[column.task] = "no floor"
        elif ours is None or ours <= column.floor:
            scale.left_out[column.task] = "fine-tuning not above the floor"
        else:
            scale.tasks.append(place)
    return scale


def _fine_tuning(row: Row) -> bool:
    grids = [entry.grid for entry in row.entries if entry.grid]
    whole = [grid["backbone"] == "trained" and grid["prompt"] == DASH for grid in grids]
    return bool(whole) and all(whole) and set(row.settings.values()) <= set(PLAIN)


def _texts(table: Table, scale: Scale) -> list[list[str]]:
    import numpy as np

    from ptbench.statistics import improvement, interquartile_means, mean_ranks, normalised

    ends = [
        (table.columns[p].floor or 0.0, scale.tuned.entries[p].mean or 0.0) for p in scale.tasks
    ]
    scores = np.array(
        [
            [
                [normalised(score, *end) for score in row.entries[place].values]
                for place, end in zip(scale.tasks, ends, strict=True)
            ]
            for row in scale.rows
        ]
    )
    tuned = scores[scale.rows.index(scale.tuned)]
    middles, ranks = interquartile_means(scores), mean_ranks(scores)
    return [
        [
            f"{scores[number].mean():.2f}",
            _text(middles[number], table.seeds),
            _text(ranks[number], table.seeds),
            DASH if row is scale.tuned else _text(improvement(scores[number], tuned), table.seeds),
        ]
        for number, row in enumerate(scale.rows)
    ]


def _ends(table: Table, scale: Scale, place: int) -> tuple[float, float]:
    """Floor and fine-tuning of a task that is on the scale."""
    return table.columns[place].floor or 0.0, scale.tuned.entries[place].mean or 0.0


def _width(table: Table, scale: Scale, place: int) -> tuple[float, str]:
    floor, tuned = _ends(table, scale, place)
    return tuned - floor, table.columns[place].task


def _text(estimate: "Estimate", seeds: int) -> str:
    value, (low, high) = estimate
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if seeds > 1 else f"{value:.2f}"


def _caption(table: Table, scales: list[Scale]) -> list[str]:
    several = len(table.sweep.axes["model"]) > 1
    tasks, left_out = [], []
    for scale in scales:
        of = f" ({scale.rows[0].model})" if several else ""
        tasks.append(f"{', '.join(table.columns[place].task for place in scale.tasks)}{of}")
        left_out += [f"{task}{of}: {reason}" for task, reason in scale.left_out.items()]
    narrow = min(_width(table, scale, place) for scale in scales for place in scale.tasks)
    seeds = f"{table.seeds} seeds" if table.seeds > 1 else "1 seed, so without intervals"
    lines = [
        f"Rests on {'; '.join(tasks)}, and on {seeds}. Normalised: 0 is the majority floor, 1 the "
        f"mean of fine-tuning, {narrow[0]:.1f} points or more apart ({narrow[1]}); a mean over "
        "tasks. IQM: of the middle half of the tasks, of all below four. Mean rank: 1 is best. "
        "P(better): that a run beats one of fine-tuning.",
    ]
    if table.seeds > 1:
        few = f" With fewer than {FEW} seeds they are too narrow to be trusted."
        lines.append(
            "In brackets: 95 % bootstrap intervals over seeds, for these tasks alone and with "
            f"floor and fine-tuning's mean as they are.{few if table.seeds < FEW else ''}"
        )
    if left_out:
        lines.append(f"Left out: {'; '.join(left_out)}.")
    return lines
