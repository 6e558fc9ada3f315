"""`ptbench data check`: whether a data set is what its task declares, and what is in it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ptbench.backbones import Backbone
from ptbench.data import Row
from ptbench.data_report import SHOWN, Part, Report
from ptbench.doctor import Check, Status
from ptbench.errors import DataError, NoData
from ptbench.kinds import Kind
from ptbench.task import Task
from ptbench.templates import Encoder

UNCUT = 10**9  # a length that no text reaches
NAMED = 3  # broken rows that are named; the others are counted
NUMBERS = {"id", "idx", "guid", "uuid"}  # columns that make a row no other row


def check(tasks: Mapping[str, Task], root: Path | None, model: Backbone, strict: bool) -> Report:
    """Looks at every split of the tasks.

    `strict`: a split that training needs and that is not there is a fault, no remark.
    """
    report = Report([], [], [])
    for name, task in tasks.items():
        parts, findings = _task(name, task, root, model, strict)
        if parts or any(finding.status is Status.FAIL for finding in findings):
            report.parts.extend(parts)
            report.findings.extend(findings)
        else:
            report.absent.append(name)
    return report


def _task(
    name: str, task: Task, root: Path | None, model: Backbone, strict: bool
) -> tuple[list[Part], list[Check]]:
    findings: list[Check] = []
    parts: list[Part] = []
    used = dict.fromkeys(filter(None, ("train", task.selected, task.reported)))
    official = task.origin.official()
    for split in {**used, **official}:
        part = Part(name, split, split in used, official.get(split))
        try:
            _read(part, task, root)
        except NoData as error:
            status = Status.FAIL if strict and split in used else Status.WARN
            findings.append(Check(part.name, status, "not there", str(error)))
        except DataError as error:
            findings.append(_fault(part, error))
        else:
            _describe(part, task, model)
            findings += [*_whole(part), *_labels(part, task, root), *_texts(part, task, model)]
            findings += [finding for other in parts for finding in _shared(part, other)]
            parts.append(part)
            part.rows, part.places = [], []  # what is compared later are the texts' hashes
    limit = model.position_limit
    if parts and limit is not None and task.max_length > limit:
        said = f"task.max_length={task.max_length} is more than this model's {limit} positions"
        findings.append(Check(name, Status.FAIL, said, f"set task.max_length={limit} or less"))
    return parts, findings


def _read(part: Part, task: Task, root: Path | None) -> None:
    kind = task.asks
    for place, row in task.origin.placed(part.split, root):
        part.read += 1
        where = place or f"row {part.read}"
        try:
            if part.labelled:
                kind.check(row)
                kind.reference(row)
            else:
                kind.check_text(row)
        except DataError as error:
            part.broken.append(f"{where}: {error}")
        else:
            part.rows.append(row)
            part.places.append(where)


def _describe(part: Part, task: Task, model: Backbone) -> None:
    kind = task.asks.fitted(model)
    template = kind.template
    encoder = Encoder(model.tokenizer, UNCUT, model.two_stacks)
    own = len(encoder.lay_out(template, {name: [] for name in template.fields}).ids)
    for row in part.rows:
        features = kind.encode(kind.unlabelled(row), encoder, template)
        texts = (sum(map(len, one.places.values())) for one in features.rows)
        part.lengths.append(own + max(texts))
        if part.labelled:
            part.classes.update(kind.classes(row))
            part.unfit += not kind.fits(row, encoder)
        key = _key(row, template.fields, kind.target)
        part.texts.setdefault(key, set()).add(json.dumps(row.get(kind.target)))


def _key(row: Row, fields: Sequence[str], target: str) -> int:
    """A hash of what a model reads of a row; of all its columns where a kind makes up some."""
    if not all(name in row for name in fields):
        fields = [name for name in row if name not in NUMBERS | {target}]
    values = (row[name] for name in fields)
    # spaces at the ends differ between splits of some official files
    told = [" ".join(value.split()) if isinstance(value, str) else value for value in values]
    return hash(json.dumps(told, default=str))


def _whole(part: Part) -> Iterator[Check]:
    if part.official is not None and part.read != part.official:
        said = f"{part.read:,} rows, officially {part.official:,}"
        remedy = "copy the split anew; of a part of it say that scores are not the official ones"
        yield Check(part.name, Status.FAIL, said, remedy)
    if not part.read:
        yield Check(part.name, Status.FAIL, "no rows", "fill the file or remove it")
    for error in part.broken[:NAMED]:
        yield Check(part.name, Status.FAIL, error, "mend or drop the row")
    if more := part.broken[NAMED:]:
        said = f"{len(more):,} more broken rows, the last at {more[-1]}"
        yield Check(part.name, Status.FAIL, said, "mend or drop them")


def _labels(part: Part, task: Task, root: Path | None) -> Iterator[Check]:
    if not part.rows:
        return
    try:
        task.check_order(part.split, root, part.rows[0])
    except DataError as error:
        yield _fault(part, error)
    if not part.labelled:
        return
    placed = zip(part.places, part.rows, strict=True)
    if stray := [place for place, row in placed if _stray(task.asks, row)]:
        said = f"{len(stray):,} rows have an I- label that continues nothing, first {stray[0]}"
        remedy = "`ptbench data convert conll` writes IOB2; or the labels are numbered otherwise"
        yield Check(part.name, Status.FAIL, said, remedy)
    never = [name for name in _types(task.asks) if name not in part.classes]
    if part.classes and never:
        more = f", ... ({len(never)})" if len(never) > SHOWN else ""
        said = f"labels that never occur: {', '.join(never[:SHOWN])}{more}"
        yield Check(part.name, Status.WARN, said, "as it is if the split is small or official")


def _stray(kind: Kind, row: Row) -> bool:
    """Whether labels in BIO have an I- that stands behind no B- or I- of its type."""
    labels = kind.reference(row)
    if not isinstance(labels, list) or not set(labels) <= set(kind.labels):
        return False
    return any(
        label.startswith("I-") and before[2:] != label[2:]
        for before, label in pairwise(["O", *labels])
    )


def _types(kind: Kind) -> list[str]:
    """What may occur among an example's classes."""
    if "O" in kind.labels:
        return [name[2:] for name in kind.labels if name.startswith("B-")]
    return list(kind.labels)


def _texts(part: Part, task: Task, model: Backbone) -> Iterator[Check]:
    count, limit = len(part.rows), task.max_length
    if long := sum(length > limit for length in part.lengths):
        most = "" if model.position_limit is None else f", at most {model.position_limit} here"
        said = f"{_share(long, count)} are longer than task.max_length={limit}"
        remedy = f"they are cut or read in windows; raise task.max_length{most}"
        yield Check(part.name, Status.WARN, said, remedy)
    if part.unfit:
        said = f"{_share(part.unfit, count)} have an answer that is no single token of this model"
        yield Check(part.name, Status.WARN, said, "they are left out; records count them")
    if again := count - len(part.texts):
        several = sum(len(answers) > 1 for answers in part.texts.values())
        said = f"{_share(again, count)} repeat the text of another"
        said += f"; texts with different answers: {several:,}" if several else ""
        yield Check(part.name, Status.WARN, said, "as it is if the data are official, else drop")


def _shared(part: Part, other: Part) -> Iterator[Check]:
    both = part.texts.keys() & other.texts.keys()
    if both:
        many = 2 * len(both) > len(part.texts)
        said = f"{_share(len(both), len(part.texts), 'texts')} are also in {other.split}"
        remedy = f"take them out of {other.split}, or say so beside the scores"
        yield Check(part.name, Status.FAIL if many else Status.WARN, said, remedy)


def _fault(part: Part, error: DataError) -> Check:
    """An error as a finding; its last part is the remedy."""
    said, _, remedy = str(error).rpartition("; ")
    return Check(part.name, Status.FAIL, said or remedy, remedy if said else "mend the file")


def _share(some: int, of: int, what: str = "rows") -> str:
    return f"{some:,} of {of:,} {what} ({some / of:.1%})"
