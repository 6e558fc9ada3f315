"""One run's result as one JSON file: named by its cell, written whole or not at all."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ptbench.errors import Diverged, Pruned, PtbenchError
from ptbench.paths import RECORDS, RUNS
from ptbench.required import lacking
from ptbench.upgrades import VERSION, upgraded

RESERVED = 1 << 18  # bytes; a record is some 10 KB


class RecordError(PtbenchError):
    """A record that cannot be read or written."""


class Busy(PtbenchError):
    """A cell that another process is training now."""


def digest(deciding: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that stand for all that decides a result."""
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def path_of(sweep: str, cell: Mapping[str, Any], hash8: str, folder: Path = RECORDS) -> Path:
    """Where the record of a cell lies."""
    name = f"{cell['model']}-{cell['method']}-s{cell['seed']}-{hash8}.json"
    return folder / sweep / cell["task"] / name


def read(file: Path) -> dict[str, Any]:
    """The record in today's form. Raises RecordError for a file that is none, or lacks keys."""
    try:
        record = json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        raise RecordError(f"{file} cannot be read ({error}); delete it and run again") from error
    version = record.get("version") if isinstance(record, dict) else None
    if not isinstance(version, int) or version < 1:
        raise RecordError(
            f"{file} is no record: its version is {version!r}, not one of 1 to {VERSION}; delete "
            "it and run again"
        )
    if version > VERSION:
        raise RecordError(
            f"{file}: version {version} is newer than this ptbench, which reads up to {VERSION}; "
            "update the checkout"
        )
    record = upgraded(record)
    if missing := lacking(record):
        raise RecordError(
            f"{file} is no whole record: it lacks {', '.join(missing)}; mend it, or delete it and "
            "run its cell again"
        )
    return record


def load(sweep: str, folder: Path = RECORDS) -> list[dict[str, Any]]:
    """All records of a sweep, in the order of their names."""
    return [read(file) for file in sorted((folder / sweep).glob("*/*.json"))]


def uncommitted(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line on those that were made from a tree with uncommitted changes, if any were."""
    dirty = [record["hash"] for record in found if record["provenance"]["dirty"]]
    if not dirty:
        return []
    return [
        f"{len(dirty)} of {len(found)} records were made from a tree with uncommitted changes "
        f"(hash {', '.join(dirty[:3])}{', ...' if dirty[3:] else ''}), so that nobody can make "
        "them again; commit the changes and train these cells anew (rerun=true)"
    ]


def finished(file: Path) -> bool:
    """Whether the cell has its result."""
    return file.exists() and read(file)["status"] == "done"


@contextmanager
def claimed(file: Path, wait: bool = False) -> Iterator[None]:
    """Keeps other processes off a cell; the system drops the claim when its owner dies.

    Raises Busy where another process has it, or waits for its end.
    """
    try:
        with FileLock(_lock(file, ".lock"), timeout=-1 if wait else 0):
            yield
    except Timeout:
        raise Busy(f"{file.stem} is being trained by another process") from None


@contextmanager
def announced(file: Path, head: Mapping[str, Any]) -> Iterator[None]:
    """Has `training` tell of a claimed cell, by what its record begins with."""
    note = _lock(file, ".json")
    with FileLock(_lock(file, ".alive")):  # not the claim: who looks at that keeps others off it
        try:
            with suppress(OSError):  # a disk that is full shows when room is reserved
                note.write_text(json.dumps({**head, "status": "training", "since": time.time()}))
            yield
        finally:
            note.unlink(missing_ok=True)


def training(sweep: str) -> list[dict[str, Any]]:
    """The cells of a sweep that processes on this checkout train now, each with `since`."""
    found = []
    for note in sorted((RUNS / "locks").glob("*.json")):
        try:
            said = json.loads(note.read_text())
        except (OSError, ValueError):
            continue  # it has just begun, or ended
        try:
            with FileLock(note.with_suffix(".alive"), timeout=0):
                pass  # its owner is dead
        except Timeout:
            found += [said] if said["config"]["sweep"] == sweep else []
    return found


def _lock(file: Path, suffix: str) -> Path:
    locks = RUNS / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return locks / f"{hashlib.sha256(str(file).encode()).hexdigest()[:16]}{suffix}"


def reserve(file: Path) -> None:
    """Takes the room for a record before training, so that a full disk shows now.

    Raises RecordError when there is none.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _draft(file).open("wb") as stream:
            stream.write(bytes(RESERVED))  # not posix_fallocate, which macOS lacks
    except OSError as error:
        raise RecordError(f"no room for {file}: {error.strerror}; free some disk space") from error


def release(file: Path) -> None:
    """Gives the reserved room back."""
    _draft(file).unlink(missing_ok=True)


def write(file: Path, record: Mapping[str, Any]) -> None:
    """Writes into the reserved room, then puts the file in place in one step."""
    text = json.dumps({"version": VERSION, **record}, indent=1, allow_nan=False) + "\n"
    draft = _draft(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with draft.open("r+b" if draft.exists() else "wb") as stream:
            stream.write(text.encode())
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        raise RecordError(
            f"{file} could not be written: {error.strerror}; free some disk space and run again"
        ) from error


def _draft(file: Path) -> Path:
    return file.with_suffix(".json.tmp")


def status_of(error: BaseException) -> str:
    """What a record says of what went wrong."""
    from ptbench.cost import out_of_memory

    if isinstance(error, Pruned):
        return "pruned"
    if isinstance(error, Diverged):
        return "diverged"
    if out_of_memory(error):
        return "oom"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
