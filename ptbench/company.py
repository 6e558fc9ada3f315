"""With whom a cell shares its backbone and its passes: others, or nobody."""

from typing import Any, Protocol, runtime_checkable

from ptbench.backbones import Backbone
from ptbench.models import Model
from ptbench.train import Job, fit


@runtime_checkable
class Company(Protocol):
    """Those beside whom a cell trains."""

    def load(self, model: Model) -> Backbone:
        """The backbone to adapt."""
        ...

    def fit(self, job: Job) -> dict[str, Any]:
        """Trains the job; gives what the record should say of how."""
        ...


class Alone:
    """Nobody."""

    def load(self, model: Model) -> Backbone:
        """A backbone of its own."""
        return model.load()

    def fit(self, job: Job) -> dict[str, Any]:
        """Passes of its own."""
        fit([job], job.accelerator)
        return {}


ALONE: Company = Alone()
