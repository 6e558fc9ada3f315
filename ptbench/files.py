"""Rows of a local file, each with the place where it stands: JSON lines, Parquet or CSV."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ptbench.errors import DataError

Row = dict[str, Any]
Placed = Iterator[tuple[str, Row]]


def read(file: Path) -> Placed:
    """All rows with their places. Raises DataError naming the place of a broken one."""
    return READERS[file.suffix](file)


def read_jsonl(file: Path) -> list[Row]:
    """One row a line. Raises DataError with file and line for what is not JSON."""
    return [row for _, row in _jsonl(file)]


def _jsonl(file: Path) -> Placed:
    with file.open("rb") as lines:  # bytes, so that a wrong encoding has a line too
        for number, line in enumerate(lines, 1):
            place = f"{file}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{place}: not JSON ({error}); a row is one JSON object on one line, UTF-8"
                ) from error
            if not isinstance(row, dict):
                said = line.decode().strip()[:40]
                raise DataError(f"{place}: a row must be an object, got {said}")
            yield place, row


def _parquet(file: Path) -> Placed:
    from pyarrow import parquet

    try:
        batches = parquet.ParquetFile(file).iter_batches()
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield f"{file}, row {number}", row
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no whole Parquet file ({error}); copy it anew") from error


def _csv(file: Path) -> Placed:
    """A column whose every cell is a JSON number, list, object or word is read as such."""
    places, rows = [], []
    place = f"{file}, line 1"
    with file.open("rb") as lines:
        reader = csv.DictReader((line.decode("utf-8-sig") for line in lines), strict=True)
        try:
            if reader.fieldnames:
                place = f"{file}, line {reader.line_num + 1}"
            for row in reader:
                if None in row or None in row.values():
                    columns = ", ".join(reader.fieldnames or ())
                    raise DataError(
                        f"{place}: not as many cells as the header has columns ({columns}); "
                        "put cells that hold a comma, a quote or a line break in double quotes"
                    )
                places.append(place)
                rows.append(row)
                place = f"{file}, line {reader.line_num + 1}"
        except (csv.Error, ValueError) as error:
            raise DataError(
                f"{place}: not CSV ({error}); it must have a header, commas between cells, UTF-8"
            ) from error
    values = [_typed(column) for column in zip(*(row.values() for row in rows), strict=True)]
    for place, cells in zip(places, zip(*values, strict=True), strict=True):
        yield place, dict(zip(reader.fieldnames or (), cells, strict=True))


def _typed(cells: Iterable[str]) -> list[Any]:
    cells = list(cells)
    try:
        return [json.loads(cell) for cell in cells]
    except ValueError:
        return cells


READERS: Mapping[str, Callable[[Path], Placed]] = {
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".csv": _csv,
}


def label_names(file: Path) -> dict[str, tuple[str, ...]]:
    """What the numbers in a column stand for, where the file or its folder says so.

    The `datasets` library writes that into Parquet files, and into dataset_info.json beside others.
    """
    from datasets import DatasetInfo, Features

    if file.suffix == ".parquet":
        from pyarrow import parquet

        return class_names(Features.from_arrow_schema(parquet.read_schema(file)))
    if (file.parent / "dataset_info.json").is_file():
        return class_names(DatasetInfo.from_directory(str(file.parent)).features or {})
    return {}


def class_names(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The names of all columns of labels, or of lists of labels."""
    columns = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    return {
        name: tuple(column.names) for name, column in columns.items() if hasattr(column, "names")
    }


def write_jsonl(file: Path, rows: Iterable[Row]) -> int:
    """All rows, or no file; how many there were. Raises DataError where it cannot be written."""
    draft = file.with_name(f"{file.name}.tmp")
    written = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as lines:
            for row in rows:
                lines.write(f"{json.dumps(row, ensure_ascii=False)}\n")
                written += 1
        draft.replace(file)
    except OSError as error:
        raise DataError(f"{file} could not be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return written


def lines(file: Path, key: str) -> tuple[str, ...]:
    """The lines of a text that hold anything. Raises DataError naming the setting."""
    try:
        found = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{key}={file}: cannot be read ({error}); name a text file") from error
    if not any(found):
        raise DataError(f"{key}={file}: is empty; name a file with one word a line")
    return tuple(filter(None, found))
