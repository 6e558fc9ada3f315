"""What a cell will take, from finished records of cells like it; nothing where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ptbench.sweeps import Place, Stored, Sweep, place_of

Key = tuple[object, ...]
HERE, ANYWHERE = "this sweep", "any sweep and settings"
# The most alike first: what two cells have in common, and whose records count. Steps hang on task
# and sweep, so that another method of both says more than the same method of another sweep: of the
# 157 records in results, each left out in turn, the one has the steps of all right, the other of a
# third, and their seconds are off by a factor of 1.4 and of 1.6 in the median.
LEVELS = (
    (("task", "model", "method", "settings"), HERE),
    (("task", "model", "method"), HERE),
    (("task", "model"), HERE),
    (("task", "model", "method"), ANYWHERE),
    (("model", "method"), HERE),
    (("model",), HERE),
    (("model", "method"), ANYWHERE),
    (("model",), ANYWHERE),
)


@dataclass(frozen=True)
class Estimate:
    """Medians over `count` finished cells, and what these have in common with the cell."""

    steps: int
    seconds: float
    bytes: int
    count: int
    level: int  # of LEVELS


class Estimates:
    """Estimates for a sweep from its own records, and from those of all sweeps."""

    def __init__(self, sweep: Sweep, own: Sequence[Stored], every: Sequence[Stored]):
        self._found: dict[tuple[int, Key], list[Stored]] = {}
        self._known: dict[Place, Estimate | None] = {}
        for number, (names, where) in enumerate(LEVELS):
            for record in own if where is HERE else every:
                if record["status"] == "done":
                    key = _key(place_of(record, sweep), names)
                    self._found.setdefault((number, key), []).append(record)

    def of(self, place: Place) -> Estimate | None:
        """By the records that are most alike; None where no record has the cell's model."""
        if place not in self._known:
            self._known[place] = self._most_alike(place)
        return self._known[place]

    def _most_alike(self, place: Place) -> Estimate | None:
        for number, (names, _) in enumerate(LEVELS):
            if alike := self._found.get((number, _key(place, names))):
                return Estimate(
                    round(median(record["curve"][-1]["step"] for record in alike)),
                    median(record["provenance"]["seconds"] for record in alike),
                    round(median(record["cost"]["peak_memory_bytes"] for record in alike)),
                    len(alike),
                    number,
                )
        return None


def likeness(level: int) -> str:
    """What the cells of a level have in common, and whose records they are."""
    names, where = LEVELS[level]
    return f"same {', '.join(names)}; {where}"


def _key(place: Place, names: Sequence[str]) -> Key:
    return tuple(getattr(place, name) for name in names)
