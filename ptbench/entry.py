"""One task of one row of a table: the scores of its seeds and what they cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from ptbench.paper import Figure
from ptbench.separable import LEVEL
from ptbench.sweeps import Stored, score

DASH = "-"


@dataclass(frozen=True)
class Entry:
    """One task of one row: its seeds' scores in points (0 to 100), and how other seeds ended."""

    values: tuple[float, ...]
    failures: tuple[str, ...]
    trainable: float | None  # parameters
    total: float | None  # parameters
    grid: dict[str, str]  # the method's place in the grid: prompt, encoder, head, backbone
    p: float | None = None  # that it differs from the best of its column and model; None: untested
    paper: Figure | None = None

    @cached_property
    def mean(self) -> float | None:
        """Mean over the seeds, in points."""
        return fmean(self.values) if self.values else None

    @cached_property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds, in points; None below two."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """From the paper's value on the same backbone, in points."""
        known = self.paper.points if self.paper and self.paper.same else None
        return None if known is None or self.mean is None else self.mean - known

    @property
    def inseparable(self) -> bool:
        """Whether a test against the best of its column and model finds no difference."""
        return self.p is not None and self.p >= LEVEL

    @property
    def share(self) -> float | None:
        """Trained parameters in % of all."""
        if self.trainable is None or self.total is None:
            return None
        return 100 * self.trainable / self.total

    def text(self, seeds: int) -> str:
        """The entry as printed in a table whose caption promises that many seeds."""
        if self.mean is None:
            return ", ".join(sorted(set(self.failures))) or DASH
        spread = "" if self.deviation is None else f" ± {self.deviation:.1f}"
        notes = [f"n={len(self.values)}"] if len(self.values) != seeds else []
        notes += [f"{count} {status}" for status, count in sorted(Counter(self.failures).items())]
        return f"{self.mean:.1f}{spread}" + (f" ({', '.join(notes)})" if notes else "")


def entered(group: Sequence[Stored], p: float | None, paper: Figure | None) -> Entry:
    """What a table shows of one place: its records, a p-value and the paper's figure if any."""
    done = [record for record in group if record["status"] == "done"]
    finished = {record["cell"]["seed"] for record in done}
    # A seed that failed and has finished under a mended configuration since is no failure.
    others = {r["cell"]["seed"]: r["status"] for r in group if r["cell"]["seed"] not in finished}
    costs = [record["cost"] for record in done]
    return Entry(
        tuple(100 * score(record) for record in done),
        tuple(others.values()),
        fmean(cost["trainable_parameters"] for cost in costs) if costs else None,
        fmean(cost["total_parameters"] for cost in costs) if costs else None,
        next((dict(r["adaptation"]) for r in [*done, *group] if r.get("adaptation")), {}),
        p,
        paper,
    )
