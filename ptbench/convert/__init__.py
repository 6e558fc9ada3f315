"""`ptbench data convert`: official raw files become the rows that tasks read.

Each format is a pure function from lines, or from a parsed JSON document, to rows; it raises
DataError naming the line, or the place in the document, and the remedy.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.convert import conll, propositions, squad, superglue, texts, trex
from ptbench.errors import ConfigError, DataError, did_you_mean
from ptbench.files import Row, write_jsonl


@dataclass(frozen=True)
class Format:
    """How files of one kind are read: by lines, or whole as JSON; `pattern` finds them in folders.

    `options` are the names of those that the function takes.
    """

    rows: Callable[..., Iterator[Row]]
    about: str
    pattern: str = "*.jsonl"
    whole: bool = False
    options: tuple[str, ...] = ()


FORMATS = {
    "conll": Format(
        conll.labelled,
        "words and tags in columns: IOB1, IOB2, BILOU or BIOES become IOB2",
        "*.conll",
        options=("words", "column", "name"),
    ),
    "conll2012_ner": Format(conll.entities, "names in *_gold_conll (OntoNotes)", "*gold_conll"),
    "conll2012_srl": Format(conll.roles, "roles in *_gold_conll, a row a predicate", "*gold_conll"),
    "propbank": Format(
        propositions.roles, "`index words ||| tags`, as P-tuning v2 has CoNLL-2005", "*.txt"
    ),
    "superglue": Format(superglue.flat, "SuperGLUE's own JSON lines, all eight tasks"),
    "squad": Format(squad.questions, "SQuAD 1.1, 2.0 or XQuAD", "*.json", whole=True),
    "trex": Format(trex.facts, "LAMA's T-REx or AutoPrompt's split of it"),
    "e2e": Format(texts.e2e, "E2E: mr,ref", "*.csv"),
    "webnlg": Format(texts.webnlg, "WebNLG's challenge JSON", "*.json", whole=True),
    "dart": Format(texts.dart, "DART", "*.json", whole=True),
    "adgen": Format(texts.adgen, "AdvertiseGen: content and summary"),
}


def convert(form: str, source: Path, target: Path, force: bool = False, **options: Any) -> int:
    """Writes the rows of a file, or of all such files of a folder; how many there were.

    Writes all or nothing. Raises ConfigError for an unknown format or option, DataError naming
    file and line of what is broken, and for a target that is there while not `force`.
    """
    if form not in FORMATS:
        raise ConfigError(f"format '{form}': {did_you_mean(form, FORMATS)}")
    for name in options:
        if name not in FORMATS[form].options:
            raise ConfigError(f"--{name}={options[name]}: format '{form}' has no such option")
    if target.suffix != ".jsonl":
        raise DataError(f"{target}: JSON lines are written; end the name in .jsonl")
    if target.exists() and not force:
        raise DataError(f"{target} is there; --force replaces it")
    found = _files(source, FORMATS[form].pattern)
    return write_jsonl(target, _rows(FORMATS[form], found, options))


def describe(console: Console) -> None:
    """Prints all formats."""
    table = Table.grid(padding=(0, 2))
    for name, form in FORMATS.items():
        table.add_row(Text(f"  {name}", style="cyan"), Text(form.about))
    console.print(table)


def _files(source: Path, pattern: str) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"{source} is not there; give a file or a folder of {pattern} files")
    found = sorted(file for file in source.rglob(pattern) if file.is_file())
    if not found:
        raise DataError(f"{source} holds no {pattern} file; give the file itself")
    return found


def _rows(form: Format, found: list[Path], options: dict[str, Any]) -> Iterator[Row]:
    count = 0
    for file in found:
        try:
            with file.open("rb") as lines:
                read = json.load(lines) if form.whole else _decoded(lines)
                for row in form.rows(read, **options):
                    count += 1
                    yield row
        except DataError as error:
            raise DataError(f"{file}, {error}") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is no JSON that can be read: {error}") from error
    if not count:
        raise DataError(f"no rows in {', '.join(map(str, found[:3]))}; is it another format?")


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number}: not UTF-8 ({error.reason}); save it as such"
            ) from error
