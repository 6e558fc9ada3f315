"""The declarations in tasks/: what they score and what they make of a row."""

from typing import Any

import pytest
from datasets import List, Value

from ptbench.build import chosen
from ptbench.kinds import Kind
from ptbench.listing import choices
from ptbench.task import Task

NAMES = list(choices("task"))
MADE = {"int64": (0, 1), "float64": (1.5, 2.5), "string": ("B-A0", "B-V")}


def kinds(name: str) -> list[Kind]:
    """The kind of a task, or of each that it is made of."""
    task = chosen("task", name, Task)
    return [part.asks for part in task.members.values() or [task]]


def sample(form: Any, number: int) -> Any:
    """One of two values of a metric's form."""
    if isinstance(form, Value):
        return MADE[form.dtype][number]
    if isinstance(form, List):
        return [sample(form.feature, number)]
    return {name: sample(inner, number) for name, inner in form.items()}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_metrics_of_a_task_share_a_name_and_the_first_has_the_main_one(name: str) -> None:
    for kind in kinds(name):
        named = []
        for metric in kind.metrics:
            made = metric(keep_in_memory=True)
            references = [sample(metric.reference, number) for number in range(2)]
            named.append(list(made.scores([*map(made.answer, references)], references)))
        together = [key for keys in named for key in keys]
        assert len(set(together)) == len(together)
        assert not kind.metrics or kind.main_metric in named[0]


GLUE = {
    # labels 0 0 1 1, found 0 1 1 1: F1 of label 1 is 4/5, MCC is 2 / sqrt(1 * 3 * 2 * 2)
    "cola": {"mcc": 1 / 3**0.5, "accuracy": 3 / 4},
    "mrpc": {"f1": 4 / 5, "accuracy": 3 / 4},
    "qqp": {"f1": 4 / 5, "accuracy": 3 / 4},
}


@pytest.mark.parametrize("name", GLUE)
def test_glue_is_scored_as_its_paper_scores_it(name: str) -> None:
    (kind,) = kinds(name)
    assert kind.score([0, 1, 1, 1], [0, 0, 1, 1]) == pytest.approx(GLUE[name])
    assert kind.main_metric == next(iter(GLUE[name]))


@pytest.mark.parametrize("name", ["conll05", "conll05_brown", "conll12", "up_ewt_srl"])
def test_roles_are_scored_without_v_and_beside_it_with_v(name: str) -> None:
    (kind,) = kinds(name)
    gold = [["B-A0", "B-V", "B-A1", "I-A1"]]
    found = [["B-A0", "B-V", "B-A1", "O"]]
    scores = kind.score(found, gold)
    assert (scores["srl_f1"], scores["f1"]) == pytest.approx((1 / 2, 2 / 3))
    assert kind.main_metric == "srl_f1"
