"""Rows of a data set: from the hub at a revision, or from a local folder of the same form."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptbench.errors import DataError, did_you_mean

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Where data come from, and how many rows of train are used.

    `root` null reads the hub, `train_rows` null takes all.
    """

    root: str | None
    train_rows: int | None


class Source(ABC):
    """What a task's rows are read from."""

    @abstractmethod
    def rows(self, split: str, root: Path | None) -> list[Row]:
        """All rows of a split, in the source's order. Raises DataError with the remedy."""

    @abstractmethod
    def identity(self, root: Path | None) -> str:
        """What fixes the rows: a checksum, or a name and revision."""

    def commit(self, root: Path | None) -> str | None:
        """The hub's commit that was read; None where it was not the hub, or it does not answer."""
        return None


@dataclass(frozen=True)
class Hub(Source):
    """A data set of the hub, which a local folder `<root>/<folder>/<split>.jsonl` can replace.

    Script repositories are read from their converted branch: `revision` "refs/convert/parquet" and
    `config` as the folder in it. `splits` maps our split names to the hub's and the folder's.
    """

    folder: str
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    convert: Callable[[Row], Row] | None = None

    def rows(self, split: str, root: Path | None) -> list[Row]:
        name = self.splits.get(split, split)
        rows = self._download(name) if root is None else read_jsonl(self._file(root, name))
        return [self.convert(row) for row in rows] if self.convert else rows

    def identity(self, root: Path | None) -> str:
        if root is None:
            return f"{self.hub}/{self.config}@{self.revision or 'main'}"
        digest = hashlib.sha256()
        for file in sorted(self._existing(root).glob("*.jsonl")):
            digest.update(file.name.encode() + file.read_bytes())
        return f"sha256:{digest.hexdigest()[:16]}"

    def commit(self, root: Path | None) -> str | None:
        if root is not None or self.hub is None:
            return None
        from huggingface_hub import HfApi

        try:
            return HfApi().dataset_info(self.hub, revision=self.revision, timeout=10).sha
        except Exception:  # whatever the hub's client raises, it must not cost a finished run
            return None

    def _existing(self, root: Path) -> Path:
        folder = root / self.folder
        if not folder.is_dir():
            here = [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
            found = did_you_mean(self.folder, here) if here else "that folder does not exist"
            raise DataError(
                f"data.root={root} has no folder '{self.folder}' ({found}); "
                "give another data.root, or none to read the hub"
            )
        return folder

    def _file(self, root: Path, split: str) -> Path:
        folder = self._existing(root)
        file = folder / f"{split}.jsonl"
        if not file.is_file():
            here = ", ".join(sorted(p.stem for p in folder.glob("*.jsonl"))) or "none"
            raise DataError(f"{file} is missing; splits here: {here}")
        return file

    def _download(self, split: str) -> list[Row]:
        if self.hub is None:
            raise DataError(
                f"'{self.folder}' is not on the hub; set data.root to a folder that holds "
                f"{self.folder}/{split}.jsonl"
            )
        from datasets import load_dataset

        converted = self.revision == "refs/convert/parquet"
        where: dict[str, Any] = {"data_dir" if converted else "name": self.config}
        try:
            loaded = load_dataset(self.hub, split=split, revision=self.revision, **where)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"the hub's data set {self.hub} ({self.config}, {split}) could not be read: "
                f"{error}; check the network (`ptbench doctor`), or set data.root to a folder that "
                f"holds {self.folder}/{split}.jsonl"
            ) from error
        return loaded.to_list()  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(frozen=True)
class Parted(Source):
    """A source of one split, parted into train and test by the values of a column.

    Every `nth` value is test's, the first among them, and no value has rows in both.
    """

    whole: Source
    split: str
    column: str
    nth: int

    def rows(self, split: str, root: Path | None) -> list[Row]:
        rows = self.whole.rows(self.split, root)
        values = list(dict.fromkeys(row[self.column] for row in rows))
        tested = set(values[:: self.nth])
        return [row for row in rows if (row[self.column] in tested) == (split == "test")]

    def identity(self, root: Path | None) -> str:
        return self.whole.identity(root)

    def commit(self, root: Path | None) -> str | None:
        return self.whole.commit(root)


@dataclass(frozen=True)
class Made(Source):
    """Rows that a function of this project makes: `make(split, rows, seed)`."""

    make: Callable[[str, int, int], list[Row]]
    sizes: Mapping[str, int]
    seed: int
    files: tuple[Path, ...]

    def rows(self, split: str, root: Path | None) -> list[Row]:
        return self.make(split, self.sizes[split], self.seed)

    def identity(self, root: Path | None) -> str:
        digest = hashlib.sha256(json.dumps([dict(self.sizes), self.seed]).encode())
        for file in self.files:
            digest.update(file.read_bytes())
        return f"sha256:{digest.hexdigest()[:16]}"


def read_jsonl(file: Path) -> list[Row]:
    """One row a line. Raises DataError with file and line for what is not JSON."""
    rows: list[Row] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{file}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(
                    f"{file}, line {number}: a row must be an object, got {line.strip()[:40]}"
                )
            rows.append(row)
    return rows
