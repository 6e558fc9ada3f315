"""What the last cells of a process made, for the next one that needs the same."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ROWS = 200_000  # of data that cells no longer use; some 2 KB each


class Recent(Generic[T]):
    """The last things that were made, each known by all that decides it.

    `rows` counts a thing's rows; the oldest are let go while all have more than ROWS, but never
    the newest. Keys are compared and not hashed, since settings may hold lists.
    """

    def __init__(self, rows: Callable[[T], int]):
        self.rows = rows
        self._kept: list[tuple[Any, T]] = []

    def get(self, key: Any, make: Callable[[], T]) -> T:
        """What is known by the key, made now where it is not there. Nobody may change it."""
        found = [one for one in self._kept if one[0] == key] or [(key, make())]
        self._kept = [one for one in self._kept if one is not found[0]] + found
        while len(self._kept) > 1 and sum(self.rows(made) for _, made in self._kept) > ROWS:
            self._kept.pop(0)
        return found[0][1]
