"""The best point of a search becomes the config of its cell."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from omegaconf import OmegaConf

from ptbench import tuning
from ptbench.errors import PtbenchError


def record(rate: float, score: float, status: str = "done") -> dict[str, Any]:
    return {
        "cell": {"task": "sst2", "model": "minilm", "method": "ptuning_v2", "seed": 0},
        "status": status,
        "config": {"train": {"learning_rate": rate}},
        "selection": {"split": "held out", "metric": "accuracy", "score": score},
        "provenance": {"commit": "0123456789"},
    }


def test_the_best_finished_point_is_written_for_each_task_that_asks(tmp_path: Path) -> None:
    found = [record(1e-3, 0.8), record(1e-2, 0.9), record(3e-2, 0.9), record(0.1, 0.95, "failed")]
    with mock.patch.object(tuning, "load", return_value=found):
        files = tuning.write("search", {"trec": "sst2"}, tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        "sst2/minilm-ptuning_v2.yaml",
        "trec/minilm-ptuning_v2.yaml",
    ]
    for file in files:
        assert OmegaConf.load(file) == {"train": {"learning_rate": 0.01}}  # of equals the lower
        assert "sweep search at 01234567, task sst2: best of 0.001, 0.01, 0.03" in file.read_text()


def test_a_point_on_the_edge_says_so(tmp_path: Path) -> None:
    found = [record(1e-3, 0.8), record(1e-2, 0.9)]
    with mock.patch.object(tuning, "load", return_value=found):
        (file,) = tuning.write("search", {}, tmp_path)
    assert "an edge of the space" in file.read_text()


def test_a_task_that_was_not_searched_is_refused(tmp_path: Path) -> None:
    with (
        mock.patch.object(tuning, "load", return_value=[record(1e-3, 0.8)]),
        pytest.raises(PtbenchError, match="no finished record of task rte"),
    ):
        tuning.write("search", {"trec": "rte"}, tmp_path)
