"""The keys that a record lacks, by record.schema.json; quick, as every loading asks."""

import json
from collections.abc import Iterator, KeysView
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("record.schema.json")


def lacking(record: dict[str, Any]) -> list[str]:
    """Dotted names of the keys that a part of the record must have and has not.

    A part that is not there at all, or null, is told by its own name where it must be there.
    """
    missing = []
    for path, required in _parts(record.get("status") == "done"):
        part: Any = record
        for key in path:
            part = part.get(key) if isinstance(part, dict) else None
        has = part if isinstance(part, dict) else {}
        if part is not None and not required <= has.keys():
            missing += [".".join((*path, key)) for key in required if key not in has]
    return missing


@cache
def _parts(done: bool) -> list[tuple[tuple[str, ...], KeysView[str]]]:
    """Where each part of a record is that must have keys, and these."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    if done:
        schema["required"] += schema["then"]["required"]
    return list(_walked(schema, schema["$defs"]))


def _walked(
    form: Any, defined: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], KeysView[str]]]:
    form = defined[form["$ref"].rpartition("/")[2]] if "$ref" in form else form
    if "required" in form:
        yield path, dict.fromkeys(form["required"]).keys()
    for key, inner in form.get("properties", {}).items():
        yield from _walked(inner, defined, (*path, key))
