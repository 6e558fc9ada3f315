"""Hands arguments to Hydra, and says in one line what is wrong with them."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ptbench.errors import PtbenchError, did_you_mean


def launch(arguments: Sequence[str]) -> None:
    """What `ptbench run` does with the rest of its line. Raises what its cells raise.

    Raises PtbenchError for a choice or a key that there is not.
    """
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    # joblib replaces a worker that has grown, and would say so as if it were a fault
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # faults reach us whole; we say them in one line
    sys.argv = ["ptbench run", *arguments]
    from ptbench.run import main as hydra_main

    try:
        hydra_main()
        if fuse := sys.modules.get("ptbench.fuse"):  # where cells were asked to share their passes
            fuse.QUEUE.train()
    except MissingConfigException as error:
        raise PtbenchError(_no_such_choice(error) or _plain(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise PtbenchError(_no_such_key(error) or _plain(error)) from error


def _no_such_choice(error: Any) -> str | None:
    """What to say of a method, task, model or sweep that has no file."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not (group and error.options):
        return None
    hint = did_you_mean(name, error.options)
    return f"{group}={name}: there is no such file in {group}; {hint} (`ptbench list {group}`)"


def _no_such_key(error: BaseException) -> str | None:
    """What to say of a key that the config does not have."""
    cause = error.__cause__
    key, node = getattr(cause, "full_key", None), getattr(cause, "parent_node", None)
    if key is None or not isinstance(node, Mapping):
        return None
    known = [name for name in map(str, node) if not name.startswith("_")]
    return f"{key}: no such setting; {did_you_mean(str(key).rpartition('.')[2], known)}"


def _plain(error: BaseException) -> str:
    """The message of an error and of what caused it, without frames."""
    parts = [str(error)]
    while (cause := error.__cause__ or error.__context__) is not None:
        if str(cause) not in " ".join(parts):
            parts.append(str(cause))
        error = cause
    return "\n".join(parts)
