"""Each test example's prediction and reference, beside the record: what paired tests need.

They stay on the machine (`.gitignore`): references are the data sets' own rows, which are not ours
to pass on. Tables need the records alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ptbench.errors import PtbenchError
from ptbench.paths import PREDICTIONS
from ptbench.records import path_of

COLUMNS = ("example", "prediction", "reference")
AGAIN = "train its cell again (rerun=true)"


class PredictionsError(PtbenchError):
    """Predictions that are not there, cannot be read or written, or do not belong together."""


class Predictions(NamedTuple):
    """What was found for each example, and what it is scored against."""

    found: list[Any]
    references: list[Any]


def file_of(sweep: str, record: Mapping[str, Any], folder: Path = PREDICTIONS) -> Path:
    """Where the predictions of a record lie: under its own name."""
    return path_of(sweep, record["cell"], record["hash"], folder).with_suffix(".parquet")


def write(file: Path, predictions: Predictions) -> None:
    """All of them as JSON, by the number of their example, or no file.

    Raises PredictionsError where they cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    texts = [[_json(value) for value in values] for values in predictions]
    columns = [range(len(predictions.references)), *texts]
    table = pyarrow.table(dict(zip(COLUMNS, map(pyarrow.array, columns), strict=True)))
    draft = file.with_name(f"{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            parquet.write_table(table, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise PredictionsError(
            f"{file} could not be written: {error.strerror}; free some disk space and {AGAIN}, or "
            "set predictions=false"
        ) from error


def read(file: Path) -> Predictions:
    """Raises PredictionsError naming the file and the remedy."""
    from pyarrow import parquet

    if not file.exists():
        raise PredictionsError(
            f"{file} is missing: made on another machine or with predictions=false; copy it from "
            f"there, or {AGAIN}"
        )
    try:
        columns = parquet.ParquetFile(file).read(list(COLUMNS)).to_pydict()
        texts = (columns[name] for name in COLUMNS[1:])
        return Predictions(*([json.loads(text) for text in values] for values in texts))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PredictionsError(f"{file} cannot be read ({error}); delete it and {AGAIN}") from error


def aligned(
    sweep: str, records: Sequence[Mapping[str, Any]], folder: Path = PREDICTIONS
) -> tuple[list[list[Any]], list[Any]]:
    """What each record's model found, example by example, and the references of them all.

    Raises PredictionsError where a file is missing, is not its record's, or has other references
    than the first.
    """
    files = [file_of(sweep, record, folder) for record in records]
    all_ = [read(file) for file in files]
    references = all_[0].references
    for file, record, one in zip(files, records, all_, strict=True):
        if len(one.references) != (rows := record["rows"]["report"]):
            raise PredictionsError(
                f"{file} has {len(one.references)} examples, its record {rows}; delete it and "
                f"{AGAIN}"
            )
        if one.references != references:
            pairs = zip(one.references, references, strict=False)
            unlike = [number for number, (ours, theirs) in enumerate(pairs) if ours != theirs]
            raise PredictionsError(
                f"{file} and {files[0]} were scored on different examples, from example "
                f"{(unlike or [min(len(one.references), len(references))])[0]} on; train both on "
                "the same data"
            )
    return [one.found for one in all_], references


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
