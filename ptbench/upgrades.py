"""Records of older versions in the form of today's; their files stay as they are."""

from collections.abc import Callable
from typing import Any

VERSION = 2  # that of record.schema.json
Record = dict[str, Any]


def _counted(record: Record) -> Record:
    """Version 1 took on these parts over time; of a finished record version 2 has all of them."""
    if record.get("status") != "done":
        return record
    return {**dict.fromkeys(("random_floor", "left_out", "jackknife")), **record}


STEPS: dict[int, Callable[[Record], Record]] = {1: _counted}  # from that version to the next


def upgraded(record: Record) -> Record:
    """The record in today's form. Its version must be in STEPS, or today's."""
    while (version := record["version"]) != VERSION:
        record = {**STEPS[version](record), "version": version + 1}
    return record
