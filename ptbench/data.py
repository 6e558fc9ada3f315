"""Rows of a data set: from the hub at a revision, or from a local folder of the same form."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ptbench import files
from ptbench.checksums import sha256
from ptbench.errors import DataError, NoData, did_you_mean
from ptbench.files import READERS, Placed, Row

Convert = Callable[[Row], Row | list[Row]]


@dataclass(frozen=True)
class Data:
    """Where data come from, and how many rows of train are used.

    `root` null reads the hub, `train_rows` null takes all. `train_split` names another split to
    train on, where a data set has no train or its train is not at hand. `eval_rows` is how many
    examples of the selected and of the reported split are answered: a trial's economy, whose scores
    are not a paper's; null answers all.
    """

    root: str | None
    train_rows: int | None
    train_split: str = "train"
    eval_rows: int | None = None


class Source(ABC):
    """What a task's rows are read from."""

    @abstractmethod
    def rows(self, split: str, root: Path | None) -> list[Row]:
        """All rows of a split, in the source's order. Raises DataError with the remedy."""

    def placed(self, split: str, root: Path | None) -> Placed:
        """The same rows, each with the file and line where it stands ("" where there is none)."""
        return (("", row) for row in self.rows(split, root))

    def official(self) -> Mapping[str, int]:
        """How many rows each split of the official release has, as far as that is declared."""
        return {}

    def label_names(self, split: str, root: Path | None) -> Mapping[str, tuple[str, ...]]:
        """What the numbers in a column stand for, for the columns of which the source says so."""
        return {}

    @abstractmethod
    def identity(self, root: Path | None) -> str:
        """What fixes the rows: a checksum, or a name and revision."""

    def commit(self, root: Path | None) -> str | None:
        """The hub's commit that was read; None where it was not the hub, or it does not answer."""
        return None


@dataclass(frozen=True)
class Hub(Source):
    """A data set of the hub, which a local folder can replace.

    The folder's files are `<root>/<folder>/<split>.jsonl`, or .parquet or .csv, with the hub's
    columns. Script repositories are read from their converted branch: `revision`
    "refs/convert/parquet" and `config` as the folder in it. `splits` maps our split names to the
    hub's and the folder's; `convert` makes of a row the one, the several or none that the task
    reads; `sizes` are the numbers of rows after that, officially.
    """

    folder: str
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    convert: Convert | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    def rows(self, split: str, root: Path | None) -> list[Row]:
        return [row for _, row in self.placed(split, root)]

    def placed(self, split: str, root: Path | None) -> Placed:
        name = self.splits.get(split, split)
        found = self._downloaded(name) if root is None else files.read(self._file(root, name))
        for place, row in found:
            for made in self._converted(place, row):
                yield place, made

    def official(self) -> Mapping[str, int]:
        return self.sizes

    def label_names(self, split: str, root: Path | None) -> Mapping[str, tuple[str, ...]]:
        name = self.splits.get(split, split)
        if root is None:
            return files.class_names(self._download(name).features)
        return files.label_names(self._file(root, name))

    def identity(self, root: Path | None) -> str:
        if root is None:
            return f"{self.hub}/{self.config}@{self.revision or 'main'}"
        return f"sha256:{sha256(self._files(root), named=True)[:16]}"

    def commit(self, root: Path | None) -> str | None:
        if root is not None or self.hub is None:
            return None
        from huggingface_hub import HfApi

        try:
            return HfApi().dataset_info(self.hub, revision=self.revision, timeout=10).sha
        except Exception:  # whatever the hub's client raises, it must not cost a finished run
            return None

    def _converted(self, place: str, row: Row) -> list[Row]:
        if self.convert is None:
            return [row]
        try:
            made = self.convert(row)
        except KeyError as error:
            raise DataError(
                f"{place}: {error} is missing; the row has {', '.join(row)}; mend or drop the row"
            ) from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise DataError(
                f"{place}: not of the form of {self.hub or self.folder} ({error}); "
                "mend or drop the row"
            ) from error
        return made if isinstance(made, list) else [made]

    def _existing(self, root: Path) -> Path:
        folder = root / self.folder
        if not folder.is_dir():
            here = [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
            found = did_you_mean(self.folder, here) if here else "that folder does not exist"
            raise NoData(
                f"data.root={root} has no folder '{self.folder}' ({found}); "
                "give another data.root, or none to read the hub"
            )
        return folder

    def _files(self, root: Path) -> list[Path]:
        return sorted(file for file in self._existing(root).iterdir() if file.suffix in READERS)

    def _file(self, root: Path, split: str) -> Path:
        here = self._files(root)
        found = [file for file in here if file.stem == split]
        if not found:
            stems = ", ".join(file.stem for file in here) or "none"
            raise NoData(
                f"{root / self.folder / split}.jsonl is missing; splits here: {stems} "
                f"(of {', '.join(READERS)} files)"
            )
        if len(found) > 1:
            both = " and ".join(file.name for file in found)
            raise DataError(f"{root / self.folder} holds {both}; keep one of them")
        return found[0]

    def _downloaded(self, split: str) -> Placed:
        where = f"{self.hub} ({self.config}, {split})"
        for number, row in enumerate(self._download(split).to_list(), 1):
            yield f"{where}, row {number}", row

    def _download(self, split: str) -> Any:
        if self.hub is None:
            raise NoData(
                f"'{self.folder}' is not on the hub; set data.root to a folder that holds "
                f"{self.folder}/{split}.jsonl"
            )
        converted = self.revision == "refs/convert/parquet"
        where = ("data_dir" if converted else "name", self.config)
        try:
            return _loaded(self.hub, split, self.revision, *where)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"the hub's data set {self.hub} ({self.config}, {split}) could not be read: "
                f"{error}; check the network (`ptbench doctor`), or set data.root to a folder that "
                f"holds {self.folder}/{split}.jsonl"
            ) from error


@lru_cache(maxsize=8)
def _loaded(hub: str, split: str, revision: str | None, key: str, config: str | None) -> Any:
    """A split of the hub, kept for who asks for its labels' names after its rows."""
    from datasets import load_dataset

    options: dict[str, Any] = {key: config}
    return load_dataset(hub, split=split, revision=revision, **options)


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
        return [row for _, row in self.placed(split, root)]

    def placed(self, split: str, root: Path | None) -> Placed:
        placed = list(self.whole.placed(self.split, root))
        values = list(dict.fromkeys(row.get(self.column) for _, row in placed))
        tested = set(values[:: self.nth])
        for place, row in placed:
            if (row.get(self.column) in tested) == (split == "test"):
                yield place, row

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

    def official(self) -> Mapping[str, int]:
        return self.sizes

    def identity(self, root: Path | None) -> str:
        digest = hashlib.sha256(json.dumps([dict(self.sizes), self.seed]).encode())
        for file in self.files:
            digest.update(file.read_bytes())
        return f"sha256:{digest.hexdigest()[:16]}"
