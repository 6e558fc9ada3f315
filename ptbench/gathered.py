"""A source whose splits come from several others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptbench.data import Row, Source
from ptbench.errors import NoData, did_you_mean
from ptbench.files import Placed


@dataclass(frozen=True)
class Gathered(Source):
    """Each split from the source that `sources` names for it, under the same name there."""

    sources: Mapping[str, Source]

    def rows(self, split: str, root: Path | None) -> list[Row]:
        return self._of(split).rows(split, root)

    def placed(self, split: str, root: Path | None) -> Placed:
        return self._of(split).placed(split, root)

    def official(self) -> Mapping[str, int]:
        declared = {split: source.official() for split, source in self.sources.items()}
        return {split: sizes[split] for split, sizes in declared.items() if split in sizes}

    def label_names(self, split: str, root: Path | None) -> Mapping[str, tuple[str, ...]]:
        return self._of(split).label_names(split, root)

    def identity(self, root: Path | None) -> str:
        return _joined(source.identity(root) for source in self.sources.values())

    def commit(self, root: Path | None) -> str | None:
        commits = (source.commit(root) for source in self.sources.values())
        return _joined(commit for commit in commits if commit) or None

    def _of(self, split: str) -> Source:
        if split not in self.sources:
            raise NoData(f"there is no split '{split}'; {did_you_mean(split, self.sources)}")
        return self.sources[split]


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(parts))
