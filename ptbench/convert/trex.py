"""Facts of T-REx as LAMA and AutoPrompt keep them: JSON lines with their evidence."""

from collections.abc import Iterable, Iterator

from ptbench.convert.superglue import naming, objects
from ptbench.files import Row


def facts(lines: Iterable[str]) -> Iterator[Row]:
    """Subject, object and relation of each line; the evidence is left out."""
    for number, row in objects(lines):
        with naming(f"line {number}"):
            yield {name: row[name] for name in ("sub_label", "obj_label", "predicate_id")}
