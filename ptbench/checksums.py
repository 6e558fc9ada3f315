"""Checksums of files, each read once in a process while it stays as it is."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

CHUNK = 1 << 20


def sha256(files: Sequence[Path], *, named: bool) -> str:
    """Of the files' contents one after the other, each behind its name if `named`."""
    return _sha256(tuple(_stamp(file) for file in files), named)


def _stamp(file: Path) -> tuple[Path, int, int]:
    found = file.stat()
    return file, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _sha256(stamps: tuple[tuple[Path, int, int], ...], named: bool) -> str:
    digest = hashlib.sha256()
    for file, *_ in stamps:
        if named:
            digest.update(file.name.encode())
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
