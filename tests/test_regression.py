"""Numbers: what is learnt, what is refused, what is scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from ptbench.errors import DataError
from ptbench.kinds import Regression
from ptbench.models import Random
from ptbench.templates import Encoder
from tests.runs import Bench, write_rows

KIND = Regression(text="{a}[SEP]{b}", pattern="{a} [P] {b}", least=0.0, most=5.0)
ROWS = [{"a": "ab c", "b": "d", "label": 3}, {"a": "e", "b": "a", "label": 0.25}]


def test_the_loss_is_the_sum_of_squared_errors(tiny: Random) -> None:
    encoder = Encoder(tiny.load().tokenizer, 32)
    batch = KIND.collate([KIND.encode(row, encoder, KIND.template) for row in ROWS], encoder)
    assert batch.targets.tolist() == [[3.0], [0.25]]
    logits = torch.tensor([[2.0], [1.25]])
    assert KIND.loss(logits, batch).item() == 1 + 1
    assert KIND.loss(logits.bfloat16(), batch).dtype == torch.float32
    assert KIND.predict(logits, batch) == [2.0, 1.25]


def test_numbers_are_scored_by_their_correlations() -> None:
    found, gold = [0.5, 3.0, 2.0, 9.0], [0.0, 2.5, 3.0, 5.0]
    expected = {
        "pearson": np.corrcoef(found, gold)[0, 1],
        "spearman": np.corrcoef(rankdata(found), rankdata(gold))[0, 1],
    }
    assert KIND.score(found, gold) == pytest.approx(expected)
    assert KIND.floor(gold) == {"pearson": 0, "spearman": 0}
    assert KIND.constant(gold) == [2.625] * 4


@pytest.mark.parametrize("value", [-1.0, 5.5, float("nan"), "3", None, True])
def test_what_is_no_number_of_the_task_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"'label' is .* not a number from 0 to 5"):
        KIND.reference({**ROWS[0], "label": value})


def test_a_label_is_not_needed_for_a_prediction(tiny: Random) -> None:
    encoder = Encoder(tiny.load().tokenizer, 32)
    row = {name: text for name, text in ROWS[0].items() if name != "label"}
    assert KIND.encode(KIND.unlabelled(row), encoder, KIND.template).target == 0
    assert replace(KIND, least=1.0).unlabelled(row)["label"] == 1


def test_what_is_learnt_is_recorded(tmp_path: Path) -> None:
    """More letters x in the second sentence make a larger number."""
    bench = Bench(tmp_path)
    for split, count in (("train", 80), ("validation", 24)):
        rows = [
            {"sentence1": "a b", "sentence2": " ".join("x" * n + "c" * (5 - n)), "label": float(n)}
            for n in (number % 6 for number in range(count))
        ]
        write_rows(bench.data / "stsb" / f"{split}.jsonl", rows)
    record = bench.run(
        "task=stsb", "method=finetune", "train.epochs=10", "train.learning_rate=1e-2"
    )
    assert record["status"] == "done"
    assert record["scores"]["validation"]["pearson"] > 0.8
    assert record["floor"]["validation"] == {"pearson": 0, "spearman": 0}
    assert record["selection"]["metric"] == "pearson"
