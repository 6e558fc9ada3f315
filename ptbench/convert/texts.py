"""Data to describe and their texts: E2E, WebNLG, DART, AdvertiseGen, in the hub's columns."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from ptbench.convert.superglue import naming, objects
from ptbench.errors import DataError
from ptbench.files import Row


def e2e(lines: Iterable[str]) -> Iterator[Row]:
    """A row for each reference, from columns `mr` and `ref`."""
    reader = csv.reader(lines, strict=True)
    header = [name.strip().lower() for name in next(reader, [])]
    if header != ["mr", "ref"]:
        raise DataError(f"line 1: the header is '{','.join(header)}', not 'mr,ref'")
    number = 2
    try:
        for cells in reader:
            if len(cells) != 2:
                raise DataError(
                    f"line {number}: {len(cells)} cells, not a representation and its text; "
                    "put both in double quotes"
                )
            yield {"meaning_representation": cells[0], "human_reference": cells[1]}
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"line {number}: not CSV ({error}); mend the quotes") from error


def webnlg(document: Any) -> Iterator[Row]:
    """An entry of the challenge's JSON with its triples and all its texts."""
    with naming("the document"):
        entries = document["entries"]
    for number, numbered in enumerate(entries):
        with naming(f"entries[{number}]"):
            ((eid, entry),) = numbered.items()
            texts = entry["lexicalisations"]
            row = {
                "category": entry["category"],
                "size": int(entry["size"]),
                "eid": eid,
                "modified_triple_sets": {"mtriple_set": [_triples(entry["modifiedtripleset"])]},
                "lex": {
                    "comment": [text.get("comment", "") for text in texts],
                    "lid": [text.get("xml_id", "") for text in texts],
                    "text": [text["lex"] for text in texts],
                },
            }
        yield row


def _triples(triples: list[dict[str, str]]) -> list[str]:
    return [f"{t['subject']} | {t['property']} | {t['object']}" for t in triples]


def dart(document: Any) -> Iterator[Row]:
    """A set of triples with all its texts."""
    if not isinstance(document, list):
        raise DataError("the document is no list of triple sets; is it DART's JSON?")
    for number, entry in enumerate(document):
        with naming(f"[{number}]"):
            row = {
                "tripleset": [list(triple) for triple in entry["tripleset"]],
                "subtree_was_extended": bool(entry.get("subtree_was_extended", False)),
                "annotations": {
                    "source": [one["source"] for one in entry["annotations"]],
                    "text": [one["text"] for one in entry["annotations"]],
                },
            }
        yield row


def adgen(lines: Iterable[str]) -> Iterator[Row]:
    """A row for each advertisement."""
    for number, row in objects(lines):
        with naming(f"line {number}"):
            yield {"content": row["content"], "summary": row["summary"]}
