"""Where a cell goes on from: the prompt and the head that several data sets were trained with.

Multi-task P-tuning v2 (Liu et al. 2022) continues on each data set from the shared prompts.
"""

from dataclasses import dataclass
from pathlib import Path

from ptbench import checkpoints
from ptbench.checkpoints import CheckpointError
from ptbench.errors import PtbenchError
from ptbench.kinds.multi import Heads
from ptbench.method import Adapted, Method
from ptbench.task import Task


class StartError(PtbenchError):
    """A cell that another is to start from, and cannot."""


@dataclass(frozen=True)
class Start:
    """The saved cell of `task`, called `name`, for a cell of its data set `part`.

    `hash8` is that cell's, `backbone` the identity of the weights that both have.
    """

    name: str
    task: Task
    part: str
    file: Path
    hash8: str
    backbone: str

    def describe(self) -> dict[str, str]:
        """What the record of a cell says that it started from. Raises StartError as `enter`."""
        try:
            header = checkpoints.read_header(self.file)
        except CheckpointError as error:
            raise self._damaged(error) from error
        return {"task": self.name, "hash": self.hash8, "sha256": header.sha256}

    def enter(self, model: Adapted, method: Method) -> None:
        """Puts the saved prompt and the part's head into a fresh model of the method.

        Raises StartError where file, prompt or head do not fit, with what to do.
        """
        whole = method.adapt(model.backbone, self.task.asks.fitted(model.backbone))
        try:
            checkpoints.load(whole, self.file, self.backbone)
        except CheckpointError as error:
            raise self._damaged(error) from error
        assert isinstance(whole.head, Heads)
        head, fresh = whole.head.parts[self.part], _forms(model)
        whole.prompt.words = ()  # it has started from real words before
        model.prompt, model.head = whole.prompt, head  # pyright: ignore[reportAttributeAccessIssue]  # a Head
        if differing := sorted(dict(fresh.items() ^ _forms(model).items())):
            name = differing[0]
            raise StartError(
                f"start={self.name} does not fit: {name} is {_forms(model).get(name, 'absent')} "
                f"there and {fresh.get(name, 'absent')} in a cell of {self.part} alone; choose "
                "another method, or start=null"
            )

    def _damaged(self, error: CheckpointError) -> StartError:
        return StartError(
            f"start={self.name}: {error}; give both cells the same settings of method and model, "
            f"or delete {self.file} to have it trained anew"
        )


def _forms(model: Adapted) -> dict[str, tuple[int, ...]]:
    return {n: tuple(p.shape) for n, p in model.named_parameters() if p.requires_grad}
