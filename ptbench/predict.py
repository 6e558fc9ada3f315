"""`ptbench predict`: a file of texts in, the same rows with their predictions out."""

import json
import os
import sys
from pathlib import Path

from ptbench.errors import DataError
from ptbench.files import Row, read_jsonl
from ptbench.serve import Served


def predict_file(
    prompts: Path, texts: Path, output: Path | None, batch_size: int, backbone: Path | None = None
) -> None:
    """Writes each row of a JSON-lines file with its `prediction`, to a file or to the screen.

    Raises DataError naming the file and the row, and for an output that cannot be written.
    """
    rows = _rows(texts)
    if output is not None:
        _check_place(output)
    try:
        found = Served.load(prompts, backbone).predict(rows, batch_size)
    except DataError as error:
        raise DataError(f"{texts}, {error}") from error
    told = ({**row, "prediction": answer} for row, answer in zip(rows, found, strict=True))
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in told)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


def _rows(texts: Path) -> list[Row]:
    try:
        rows = read_jsonl(texts)
    except OSError as error:
        raise DataError(f"{texts} cannot be read: {error}; it must be JSON lines, UTF-8") from error
    if not rows:
        raise DataError(f"{texts} has no rows; give it one JSON object a line")
    return rows


def _check_place(output: Path) -> None:
    """Raises DataError, before any work, where no file can be written."""
    folder = output.parent
    if output.is_dir() or not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise DataError(
            f"{output} cannot be written; give --output a file in a folder that exists and that "
            "you may write to"
        )


def _write(output: Path, text: str) -> None:
    """All of the text, or no file."""
    draft = output.with_name(f"{output.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(
            f"{output} could not be written: {error.strerror}; give another --output"
        ) from error
