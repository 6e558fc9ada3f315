"""Cells of a sweep once more, each with the overrides that its record tells."""

import logging
import shlex
from collections.abc import Sequence

from ptbench import planning
from ptbench.errors import PtbenchError
from ptbench.launch import launch
from ptbench.planning import State
from ptbench.sweeps import Stored

LOGGER = logging.getLogger(__name__)
UNSAID = "<folder>"  # what a record says in place of a folder of the machine


class RerunError(PtbenchError):
    """A record that does not tell how to run its cell, or no choice of cells."""


def lines(name: str, overrides: Sequence[str], failed: bool, every: bool) -> list[list[str]]:
    """What `ptbench run` is to be given for each cell: those that failed, or all with a record.

    Overrides of an axis choose among the cells, all others go with each of them. Raises RerunError
    where it is not said which cells, or a folder is missing that a record does not tell.
    """
    axes = planning.described(name, planning.records.load(name)).axes
    chosen = [o for o in overrides if o.partition("=")[0] in axes]
    more = [o for o in overrides if o not in chosen]
    cells = [c for c in planning.of(name, chosen)[1] if c.state is not State.training and c.record]
    broken = [c for c in cells if c.state is State.failed]
    if failed == every:
        raise RerunError(
            f"say which cells of {name}: --failed ({len(broken)}), or --all ({len(cells)}), which "
            "trains those that are done again, too"
        )
    again = [] if failed else ["rerun=true"]
    taken = [c.record for c in (broken if failed else cells)]
    return [[*_line(name, record, more), *again] for record in taken if record]


def run(lines: Sequence[Sequence[str]]) -> int:
    """Runs each in this process; how many failed."""
    failures = 0
    for line in lines:
        try:
            launch([*line, "hydra.mode=RUN"])  # one cell, whatever launcher its sweep has
        except Exception as error:  # its record tells the rest; the others go on
            LOGGER.debug("%s", error, exc_info=True)
            failures += 1
    return failures


def told(record: Stored) -> list[str]:
    """The overrides of the command that made a record."""
    found: list[str] = []
    for word in shlex.split(record["provenance"]["command"].removeprefix("ptbench run")):
        if "=" in word or word.startswith("~") or not found:
            found.append(word)
        else:  # records have been written without the quotes of a value that has spaces
            found[-1] += f" {word}"
    return found


def _line(name: str, record: Stored, more: Sequence[str]) -> list[str]:
    given = {_key(override) for override in more}
    kept = [override for override in told(record) if _key(override) not in given]
    for override in kept:
        if override.endswith(f"={UNSAID}"):
            key, cell = _key(override), record["cell"]
            raise RerunError(
                f"the record of {cell['task']} {cell['model']} {cell['method']} seed "
                f"{cell['seed']} was made with {key}={UNSAID}, as records name no folder; say "
                f"which: `ptbench rerun {name} ... {key}={UNSAID}`"
            )
    return [*kept, *more]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")
