"""SuperGLUE's own JSON lines: nested passages become rows in the hub's columns."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ptbench.errors import DataError
from ptbench.files import Row

HIDDEN = -1


def objects(lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    """The objects of JSON lines with the numbers of their lines."""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"line {number}: not JSON ({error}); a row is one line") from error
        if not isinstance(row, dict):
            raise DataError(f"line {number}: a row must be an object, got {line.strip()[:40]}")
        yield number, row


@contextmanager
def naming(place: str) -> Iterator[None]:
    """What a broken row lacks becomes a DataError that names its place."""
    try:
        yield
    except KeyError as error:
        raise DataError(f"{place}: {error} is missing; mend or drop it") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{place}: not of this format ({error}); mend or drop it") from error


def flat(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of any of the eight tasks, told apart by what a line holds."""
    for number, row in objects(lines):
        with naming(f"line {number}"):
            passage = row.get("passage")
            if isinstance(passage, dict):
                found = _record(row) if "qas" in row else _multirc(row)
            elif "target" in row:
                found = [{**_without(row, "target"), **row["target"]}]
            else:
                found = [row]
            if "qas" not in row:
                found = [{**one, "label": _label(one.get("label"))} for one in found]
        yield from found


def _label(label: object) -> object:
    """Truth values as 0 and 1, a label that is not given as -1, names as they are."""
    if label is None:
        return HIDDEN
    return int(label) if isinstance(label, bool) else label


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


def _multirc(row: Row) -> list[Row]:
    return [
        {
            "paragraph": row["passage"]["text"],
            "question": question["question"],
            "answer": answer["text"],
            "idx": {
                "paragraph": row["idx"],
                "question": question["idx"],
                "answer": answer["idx"],
            },
            "label": answer.get("label"),
        }
        for question in row["passage"]["questions"]
        for answer in question["answers"]
    ]


def _record(row: Row) -> list[Row]:
    """The raw spans include their last character, the hub's end behind it."""
    text = row["passage"]["text"]
    spans = [(span["start"], span["end"] + 1) for span in row["passage"]["entities"]]
    entities = [text[slice(*span)] for span in spans]
    return [
        {
            "passage": text,
            "query": question["query"],
            "entities": list(dict.fromkeys(entities)),
            "entity_spans": {
                "text": entities,
                "start": [start for start, _ in spans],
                "end": [end for _, end in spans],
            },
            "answers": list(dict.fromkeys(a["text"] for a in question.get("answers", []))),
            "idx": {"passage": row["idx"], "query": question["idx"]},
        }
        for question in row["qas"]
    ]
