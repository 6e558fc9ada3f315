"""Records of other checkouts, brought into this one with the predictions beside them.

A copy of a record gives way to one that has finished. Two that have finished with different scores
contradict each other: they are named, and neither comes in.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptbench import schema
from ptbench.errors import PtbenchError
from ptbench.paths import PREDICTIONS, RECORDS
from ptbench.records import Busy, RecordError, claimed, read, uncommitted


class MergeError(PtbenchError):
    """A folder that holds no records, or a copy that cannot be made."""


@dataclass(frozen=True)
class Copy:
    """One copy of a record: its file, what it says, and where its predictions would be."""

    file: Path
    record: Mapping[str, Any]
    predictions: Path

    @property
    def done(self) -> bool:
        """Whether it has a result."""
        return self.record["status"] == "done"

    def said(self) -> str:
        """The file with its scores and its commit."""
        ((split, scores),) = self.record["scores"].items()
        told = ", ".join(f"{metric} {score:.6g}" for metric, score in scores.items())
        return f"{self.file} ({split} {told}; commit {self.record['provenance']['commit']})"


@dataclass
class Merged:
    """What came in, what was there already, and what was refused, with its reason."""

    taken: list[Path] = field(default_factory=list)
    same: int = 0  # to the byte
    kept: int = 0  # ours is as good or better
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # on what came in


def merge(
    folders: Sequence[Path],
    dry_run: bool = False,
    records: Path = RECORDS,
    predictions: Path = PREDICTIONS,
) -> Merged:
    """Takes the records of other checkouts, or of their `results`, that are better than ours.

    Raises MergeError for a folder without records and for a copy that fails.
    """
    merged, taken = Merged(), []
    found: dict[Path, list[Copy]] = {}
    for results in map(_results, folders):
        for file in sorted((results / "records").glob("*/*/*.json")):
            name = file.relative_to(results / "records")
            if copy := _sound(file, results / "predictions", merged):
                found.setdefault(name, []).append(copy)
    for name, others in found.items():
        file = records / name
        ours = [_copy(file, predictions)] if file.exists() else []
        if rivals := _rivals([*ours, *others]):
            merged.refused.append(_conflict(*rivals))
            continue
        best = next((copy for copy in (*ours, *others) if copy.done), (*ours, *others)[0])
        if best in ours:
            same = [copy for copy in others if copy.file.read_bytes() == file.read_bytes()]
            merged.same += len(same)
            merged.kept += len(others) - len(same)
            best = next((copy for copy in same if copy.predictions.exists()), None)
            if best is None or ours[0].predictions.exists():
                continue
        else:
            merged.taken.append(name)
            taken.append(best.record)
        if not dry_run:
            _take(best, file, predictions / name.with_suffix(".parquet"), merged)
    merged.notes = uncommitted(taken)
    return merged


def _results(folder: Path) -> Path:
    for results in (folder / "results", folder):
        if (results / "records").is_dir():
            return results
    raise MergeError(
        f"{folder}: neither results/records nor records is in it; name another checkout, or a copy "
        "of its results"
    )


def _copy(file: Path, predictions: Path) -> Copy:
    below = file.relative_to(file.parents[2]).with_suffix(".parquet")
    return Copy(file, read(file), predictions / below)


def _sound(file: Path, predictions: Path, merged: Merged) -> Copy | None:
    """That copy, or None where the file has a fault, which is refused."""
    try:
        faults = schema.faults(file)
    except RecordError as error:
        faults = [str(error)]
    merged.refused += faults
    return None if faults else _copy(file, predictions)


def _rivals(copies: Sequence[Copy]) -> tuple[Copy, Copy] | None:
    """The first two that have finished with different scores."""
    done = [copy for copy in copies if copy.done]
    other = (copy for copy in done if copy.record["scores"] != done[0].record["scores"])
    return next(((done[0], copy) for copy in other), None)


def _conflict(one: Copy, other: Copy) -> str:
    return (
        f"two results of one cell: {one.said()} and {other.said()}; settings and data are the same "
        "to the hash, so find out which commit or machine is wrong and delete its file"
    )


def _take(copy: Copy, file: Path, predictions: Path, merged: Merged) -> None:
    """Predictions first, so that a record that is there has what belongs to it."""
    try:
        with claimed(file):
            if copy.predictions.exists():
                _put(copy.predictions, predictions)
            _put(copy.file, file)
    except Busy as busy:
        merged.taken.remove(file.relative_to(file.parents[2]))
        merged.refused.append(f"{busy}; merge again when it has ended")


def _put(source: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    draft = target.with_name(f"{target.name}.merge.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            stream.write(source.read_bytes())
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise MergeError(
            f"{target} could not be copied from {source}: {error.strerror}; free some disk space "
            "or mend the permissions, then merge again: what came in before stays"
        ) from error
