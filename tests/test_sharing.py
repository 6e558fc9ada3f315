"""What cells of one process share, and that each ends as it would alone."""

from pathlib import Path
from typing import Any

import pytest

from ptbench import cell, recent
from ptbench.recent import Recent
from ptbench.task import Task
from tests.runs import Bench, reviews, write_rows


def test_what_is_known_is_not_made_again() -> None:
    made: list[str] = []

    def make(name: str) -> Any:
        return lambda: made.append(name) or name

    few: Recent[str] = Recent(lambda name: recent.ROWS // 2)
    assert [few.get([name], make(name)) for name in "abab"] == list("abab")
    assert made == ["a", "b"], "keys are compared, and both fit"
    few.get(["c"], make("c"))
    few.get(["b"], make("b"))
    few.get(["a"], make("a"))
    assert made == ["a", "b", "c", "a"], "the one asked for longest ago has left"
    huge: Recent[str] = Recent(lambda name: 2 * recent.ROWS)
    assert huge.get(1, make("d")) == huge.get(1, make("d")) == "d"
    assert made[4:] == ["d"], "the newest stays, whatever its size"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that are read from now on, and "encoded" for each time rows are encoded."""
    found: list[str] = []
    rows, encoded = Task._rows, cell.encoded
    monkeypatch.setattr(Task, "_rows", lambda *a: found.append(a[1]) or rows(*a))
    monkeypatch.setattr(cell, "encoded", lambda *a: found.append("encoded") or encoded(*a))
    return found


def results(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("scores", "curve", "jackknife", "rows", "floor")}


def test_cells_read_their_data_once_and_end_as_alone(tmp_path: Path, read: list[str]) -> None:
    bench = Bench(tmp_path)
    whole = ["train", "validation"]  # the fair protocol selects on rows held out of train
    bench.run("method=linear_probe")
    assert sorted(read) == sorted([*whole, "encoded"])
    after = bench.run("method=ptuning_v2", "seed=1")
    assert len(read) == 3, "the same rows, read by the same pattern"
    bench.run("method=prompt_tuning")
    assert read[3:] == ["encoded"], "pseudo tokens stand in front"
    bench.run("method=linear_probe", "model.width=16")
    assert read[4:] == ["encoded"], "another model may have another tokenizer"
    bench.run("method=linear_probe", "data.train_rows=8")
    assert sorted(read[5:]) == sorted([*whole, "encoded"])
    write_rows(bench.data / "sst2" / "train.jsonl", reviews(24))
    bench.run("method=linear_probe")
    assert sorted(read[8:]) == sorted([*whole, "encoded"]), "other rows in the same file"
    write_rows(bench.data / "sst2" / "train.jsonl", reviews(20))
    cell.SPLITS._kept.clear()
    cell.ENCODED._kept.clear()
    alone = bench.run("method=ptuning_v2", "seed=1", "rerun=true")
    assert results(after) == results(alone)
