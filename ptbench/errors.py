"""What a user can mend: each message names the thing, its value and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class PtbenchError(Exception):
    """A fault in what was asked for or given, not in the suite."""


class ConfigError(PtbenchError):
    """A setting that does not exist, has the wrong type, or has no value."""


class SweepError(PtbenchError):
    """A sweep, or its records, cannot be used; the message says why and what to do."""


class DataError(PtbenchError):
    """Data that are missing or are not what the task declares."""


class NoData(DataError):
    """A data set or a split that is not there at all."""


class BackboneError(PtbenchError):
    """A backbone that cannot be loaded or cannot carry the method."""


class Diverged(PtbenchError):
    """A loss that is not a number."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The closest known word as a question, or all of them as a list."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


class Pruned(PtbenchError):
    """A cell that a search ended early; `curve` is as far as it came, a dict an evaluation."""

    def __init__(self, said: str, curve: list[dict[str, Any]]):
        super().__init__(said)
        self.curve = curve
