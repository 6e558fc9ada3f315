"""Whether a record file has the form of record.schema.json and lies where its cell belongs.

Loading asks for keys alone, as it has to be quick. `check`, `merge` and the tests ask for all.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ptbench.records import path_of, read
from ptbench.required import SCHEMA


def faults(file: Path) -> list[str]:
    """What is wrong with a record file, a line each with file, key, value and remedy.

    Raises RecordError where it is no record at all.
    """
    record = read(file)
    found = [f"{file}: {fault}" for fault in _formal(record)] or _misplaced(file, record)
    return [f"{line}; mend it, or delete the file and run its cell again" for line in found]


def _formal(record: Mapping[str, Any]) -> list[str]:
    errors = sorted(_validator().iter_errors(record), key=lambda error: list(map(str, error.path)))
    return [f"{'.'.join(map(str, e.path)) or 'the record'}: {_short(e.message)}" for e in errors]


def _misplaced(file: Path, record: Mapping[str, Any]) -> list[str]:
    folder = file.parents[2]
    expected = path_of(record["config"]["sweep"], record["cell"], record["hash"], folder)
    if expected == file:
        return []
    return [f"{file}: sweep, cell and hash belong to {expected.relative_to(folder)}"]


def _short(message: str, most: int = 160) -> str:
    return (
        message if len(message) <= most else f"{message[: most // 2]} ... {message[-most // 2 :]}"
    )


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
