"""`ptbench data show`: examples as a model reads them, each label under its piece."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ptbench.backbones import Backbone
from ptbench.data import Row
from ptbench.inputs import IGNORE
from ptbench.kinds import Features, Kind
from ptbench.task import Task
from ptbench.templates import Encoded, Encoder

WIDEST = 200  # characters of a column or an answer that are shown


def show(
    task: Task, model: Backbone, root: Path | None, split: str, kind: Kind, console: Console
) -> None:
    """Prints three examples of a split: their columns, their pieces with what is under them.

    `kind` says how they are read: the task's own, or its form with a pattern.
    """
    encoder = Encoder(model.tokenizer, task.max_length, model.two_stacks)
    for place, row in chosen(kind, task.origin.placed(split, root), 3):
        console.print(Text(place or split, style="bold"), soft_wrap=True)
        for name, value in row.items():
            line = Text(f"  {name}: ", style="cyan").append(_short(value), style="default")
            console.print(line, soft_wrap=True)
        features = kind.encode(row, encoder, kind.template)
        for encoded, marks in zip(features.rows, marked(kind, features, encoder), strict=True):
            pieces = named(encoded, encoder)
            for line in beneath(pieces, [marks.get(i, "") for i in range(len(pieces))], 96):
                console.print(Text(f"  {line}"), soft_wrap=True)
        answer = ", ".join(kind.classes(row)) or _short(_gold(kind.reference(row)))
        console.print(Text("  answer: ", style="green").append(answer, style="default"))


def chosen(kind: Kind, placed: Iterator[tuple[str, Row]], count: int) -> list[tuple[str, Row]]:
    """The first rows that show a class not seen before, filled up with the first of all."""
    first: list[tuple[str, Row]] = []
    telling: list[tuple[str, Row]] = []
    seen: set[str] = set()
    for place, row in placed:
        kind.check(row)
        first += [(place, row)][: count - len(first)]
        if not seen.issuperset(kind.classes(row)):
            seen.update(kind.classes(row))
            telling.append((place, row))
        if len(telling) == count:
            break
    rest = (pair for pair in first if pair not in telling)
    return [*telling, *islice(rest, count - len(telling))]


def marked(kind: Kind, features: Features, encoder: Encoder) -> list[dict[int, str]]:
    """What stands under the places of each row of an example.

    That is a label for each place, a token to write, or, where a target holds one place for each
    of the labels of each row (the start and end of a span), the name of these.
    """
    rows, targets, labels = features.rows, features.targets, kind.labels
    if features.pieces:
        words = _vocabulary(encoder, [token for ids in features.pieces for token in ids])
        return [
            {
                rows[0].answer + number: ", ".join(words[token] for token in ids if token >= 0)
                for number, ids in enumerate(zip_longest(*features.pieces, fillvalue=IGNORE))
            }
        ]
    if len(targets) == len(rows[0].ids) and len(rows) == 1:
        told = {place: target for place, target in enumerate(targets) if target != IGNORE}
        words = labels or _vocabulary(encoder, list(told.values()))
        return [{place: words[target] for place, target in told.items()}]
    if len(targets) == len(labels) * len(rows) and len(targets) > 1:
        each = [targets[i : i + len(labels)] for i in range(0, len(targets), len(labels))]
        return [_at(dict(zip(labels, places, strict=True))) for places in each]
    return [{} for _ in rows]


def _vocabulary(encoder: Encoder, ids: list[int]) -> dict[int, str]:
    return dict(zip(ids, encoder.tokenizer.convert_ids_to_tokens(ids), strict=True))


def _at(places: dict[str, int]) -> dict[int, str]:
    """Names by place; those of one place joined."""
    found: dict[int, str] = {}
    for name, place in places.items():
        found[place] = f"{found[place]}, {name}" if place in found else name
    return found


def named(encoded: Encoded, encoder: Encoder) -> list[str]:
    """The pieces as the tokenizer writes them; pseudo tokens as [P0], [P1], ..."""
    pieces = encoder.tokenizer.convert_ids_to_tokens(encoded.ids)
    return [f"[P{s}]" if s >= 0 else p for p, s in zip(pieces, encoded.slots, strict=True)]


def beneath(above: Sequence[str], below: Sequence[str], width: int) -> list[str]:
    """Two rows of cells set in columns, and broken into as many pairs of lines as they need."""
    lines: list[str] = []
    upper = lower = ""
    for one, two in zip(above, below, strict=True):
        size = max(cell_len(one), cell_len(two)) + 1
        if upper and len(upper) + size > width:
            lines += [upper, lower]
            upper = lower = ""
        upper += one + " " * (size - cell_len(one))
        lower += two + " " * (size - cell_len(two))
    return [line.rstrip() for line in (*lines, upper, lower) if line.strip()]


def _gold(reference: object) -> object:
    """The answers alone, where an answer is scored beside what it is taken from."""
    return reference["answers"] if isinstance(reference, Mapping) else reference


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]} ..."
