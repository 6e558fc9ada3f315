"""Several data sets as one task, as multi-task P-tuning v2 trains on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ptbench.build import chosen, deciding
from ptbench.data import Data, Row
from ptbench.errors import ConfigError
from ptbench.kinds import Multi
from ptbench.kinds.multi import TASK
from ptbench.protocol import Protocol
from ptbench.task import Splits, Task


@dataclass(frozen=True)
class MultiTask(Task):
    """The tasks that `parts` names, each with the settings of its own file in conf/task.

    Each keeps its own splits and `data.train_rows`, and what it holds out of its train does not
    train here either. `max_length` binds where a part's own is not lower.
    """

    parts: list[str]

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ConfigError(f"task.parts={self.parts}: name one task or more, each once")
        if nested := [name for name, task in self.members.items() if task.members]:
            raise ConfigError(
                f"task.parts={self.parts}: {nested[0]} is made of several itself; name its parts"
            )

    @cached_property
    def members(self) -> Mapping[str, Task]:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]  # read alike
        return {name: chosen("task", name, Task) for name in self.parts}

    @property
    def asks(self) -> Multi:
        return Multi(
            parts={name: task.asks for name, task in self.members.items()},
            limits={name: task.max_length for name, task in self.members.items()},
        )

    def identity(self, data: Data) -> str:
        """What fixes the rows of each part, with the part's settings."""
        return "; ".join(
            f"{name} {deciding(vars(task), task)} {task.identity(data)}"
            for name, task in self.members.items()
        )

    def commit(self, data: Data) -> str | None:
        commits = {name: task.commit(data) for name, task in self.members.items()}
        return "; ".join(f"{name} {commit}" for name, commit in commits.items() if commit) or None

    def splits(self, data: Data, protocol: Protocol) -> Splits:
        found = {name: task.splits(data, protocol) for name, task in self.members.items()}

        def together(part: str) -> list[Row]:
            return [{**row, TASK: name} for name, s in found.items() for row in getattr(s, part)]

        def agreed(name: str) -> str:
            return " and ".join(dict.fromkeys(getattr(splits, name) for splits in found.values()))

        return Splits(
            together("train"),
            together("select"),
            together("report"),
            agreed("select_name"),
            agreed("report_name"),
        )
