"""With whom a cell shares its backbone and its passes: others, or nobody."""

from typing import Any, Protocol, runtime_checkable

from ptbench.answers import Asked, answer
from ptbench.backbones import Backbone
from ptbench.models import Model
from ptbench.train import Job, fit


@runtime_checkable
class Company(Protocol):
    """Those beside whom a cell trains."""

    def load(self, model: Model) -> Backbone:
        """The backbone to adapt."""
        ...

    def train(self, job: Job, report: Asked) -> tuple[list[Any], dict[str, Any]]:
        """Trains the job; its answers to the report's rows, and what the record says of how."""
        ...


class Alone:
    """Nobody."""

    def load(self, model: Model) -> Backbone:
        """A backbone of its own."""
        return model.load()

    def train(self, job: Job, report: Asked) -> tuple[list[Any], dict[str, Any]]:
        """Passes of its own."""
        fit([job], job.accelerator)
        return answer([report])[0], {}


ALONE: Company = Alone()
