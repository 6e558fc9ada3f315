"""The summary of a table over its tasks, in rows of cells and lines of caption."""

from ptbench.across import FEW_SEEDS, FEW_TASKS, Across
from ptbench.entry import DASH
from ptbench.layout import Lines, plain
from ptbench.statistics import Estimate


def over_tasks(one: Across) -> Lines:
    """The methods of one model over its tasks."""
    header = ["method", "normalised score", "mean rank", "P(beats fine-tuning)"]
    return [plain(header)] + [
        plain([title, *(_estimate(e) for e in (score, rank, better))])
        for title, score, rank, better in one.standings
    ]


def over_tasks_caption(one: Across) -> list[str]:
    """What the summary over tasks is, what it rests on and what it leaves out."""
    few = one.seeds < FEW_SEEDS or len(one.tasks) < FEW_TASKS
    means = "mean of the middle half of the tasks" if len(one.tasks) >= FEW_TASKS else "mean"
    left_out = ", ".join(f"{name} ({reason})" for name, reason in one.left_out.items())
    return [
        f"Normalised score: 0 at the majority floor, 1 at fine-tuning's mean; {means} of "
        f"{len(one.tasks)} tasks ({', '.join(one.tasks)}), {one.seeds} seeds each.",
        "P(beats fine-tuning): that a run of the method scores higher than one of fine-tuning, a "
        "tie counting half; mean over the tasks.",
        "In brackets: 95 % bootstrap intervals over seeds. Tasks and scale are held fixed, so they "
        "say nothing of other tasks"
        + (", and so few seeds or tasks make them rough." if few else "."),
        *([f"Left out: {left_out}."] if left_out else []),
    ]


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return DASH
    value, (low, high) = estimate
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
