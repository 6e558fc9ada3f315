"""Sentences of one word a line, what is known of it in columns, an empty line between sentences."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from ptbench.errors import DataError
from ptbench.files import Row

COMMENT = re.compile(r"#\s*(\S+\s*=|newdoc|newpar|begin document|end document)")
CELL = re.compile(r"(?:\(([^()*]+))?\*?(\))?")
BEGINS, INSIDE, ENDS = "BSU", "IMEL", "ESUL"  # E and S of BIOES are L and U of BILOU
DOCUMENT = "-DOCSTART-"

# columns of CoNLL-2012: those behind SRL but the last are the predicates'
WORD, LEMMA, FRAME, ENTITY, ROLES = 3, 6, 7, 10, 11


def labelled(
    lines: Iterable[str], words: int = 0, column: int = -1, name: str = "ner_tags"
) -> Iterator[Row]:
    """The words of a column with the tags of another as IOB2, whatever they were."""
    for numbers, cells in sentences(lines):
        count = len(cells[0])
        for option, place in (("words", words), ("column", column)):
            if not -count <= place < count:
                raise DataError(
                    f"line {numbers[0]}: no column {place} in {count}; choose another --{option}"
                )
        tags = iob2([row[column] for row in cells], numbers)
        yield {"tokens": [row[words] for row in cells], name: tags}


def entities(lines: Iterable[str]) -> Iterator[Row]:
    """The names of CoNLL-2012's files."""
    for numbers, cells in sentences(lines, ROLES + 1):
        tags = unbracketed([row[ENTITY] for row in cells], numbers)
        yield {"tokens": [row[WORD] for row in cells], "ner_tags": tags}


def roles(lines: Iterable[str]) -> Iterator[Row]:
    """The roles in CoNLL-2012's files, one row for each predicate."""
    for numbers, cells in sentences(lines, ROLES + 1):
        words = [row[WORD] for row in cells]
        for column in range(ROLES, len(cells[0]) - 1):
            tags = unbracketed([row[column] for row in cells], numbers)
            if "B-V" not in tags:
                continue  # a sentence without predicates has an empty column
            place = tags.index("B-V")
            sense = f"{cells[place][LEMMA]}.{cells[place][FRAME]}"
            yield {
                "tokens": words,
                "predicate_index": place,
                "predicate": sense,
                "srl_tags": tags,
            }


def sentences(lines: Iterable[str], least: int = 2) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Line numbers and cells of each sentence; columns stand apart by tabs, or else by spaces.

    Raises DataError where a line has fewer cells than `least`, or than the sentence's first.
    """
    numbers: list[int] = []
    cells: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        row = line.strip("\r\n").split("\t") if "\t" in line.strip() else line.split()
        if not line.strip() or COMMENT.match(line) or row[0] == DOCUMENT:
            if cells:
                yield numbers, cells
                numbers, cells = [], []
            continue
        wanted = len(cells[0]) if cells else None
        if len(row) < least or (wanted is not None and len(row) != wanted):
            raise DataError(
                f"line {number}: {len(row)} columns, where {wanted or f'{least} or more'} are "
                "needed; mend the line, or give the format that the file has"
            )
        numbers.append(number)
        cells.append(row)
    if cells:
        yield numbers, cells


def iob2(tags: list[str], numbers: list[int]) -> list[str]:
    """Tags in IOB1, IOB2, BILOU or BIOES as IOB2: every span begins with B-.

    A span begins at a B, S or U, and at an I, M, E or L that continues nothing of its type.
    """
    for tag, number in zip(tags, numbers, strict=True):
        mark, _, name = tag.partition("-")
        if tag != "O" and not (name and len(mark) == 1 and mark in BEGINS + INSIDE):
            raise DataError(
                f"line {number}: '{tag}' is no tag such as B-PER or O; choose another --column"
            )
    return [
        "O" if tag == "O" else f"{'I' if _continues(before, tag) else 'B'}-{tag[2:]}"
        for before, tag in pairwise(["O", *tags])
    ]


def _continues(before: str, tag: str) -> bool:
    return tag[0] in INSIDE and before[0] not in ENDS and before[2:] == tag[2:]


def unbracketed(cells: list[str], numbers: list[int]) -> list[str]:
    """Spans as `(ARG0*`, `*`, `*)` in IOB2."""
    tags: list[str] = []
    name: str | None = None
    for cell, number in zip(cells, numbers, strict=True):
        parts = CELL.fullmatch(cell)
        if parts is None or (parts[1] and name) or (parts[2] and not (name or parts[1])):
            raise DataError(
                f"line {number}: '{cell}' does not open or close one span, as `(ARG0*` or `*)` do; "
                "mend the line"
            )
        name = parts[1] or name
        tags.append("O" if name is None else f"{'B' if parts[1] else 'I'}-{name}")
        name = None if parts[2] else name
    if name is not None:
        raise DataError(f"line {numbers[-1]}: the sentence ends inside '{name}'; close it by `*)`")
    return tags
