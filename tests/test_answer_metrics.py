"""Scores of answers in words: hand-worked cases, and what SQuAD's official count gives."""

import pytest

from ptbench.metrics import ReCoRD, SquadV1, SquadV2, score

# Made up; the answers of each question, and the prediction.
ROWS = [
    (["the Lamb Inn", "Lamb Inn"], "The Lamb Inn."),
    (["in 1871", "1871"], "about 1871"),
    (["U.S. Army"], "the us army of 1871"),
    (["a red-brick house"], "red brick house"),
    (["Anna Bell, a doctor"], "Doctor Anna Anna"),
    (["Zoë"], "zoe"),
    ([], ""),
    ([], "Anna Bell"),
    (["five"], ""),
    (["the"], "an"),
]
# squad_metrics.py of transformers 4.40.2 (the official script of SQuAD 2.0), in points.
OFFICIAL = {"": (30.0, 54.0), "has_ans_": (25.0, 55.0), "no_ans_": (50.0, 50.0)}


def test_squad_v2_is_counted_as_the_official_script_counts_it() -> None:
    gold, found = [row[0] for row in ROWS], [row[1] for row in ROWS]
    expected = {
        f"{part}{name}": figure / 100
        for part, figures in OFFICIAL.items()
        for name, figure in zip(("exact", "f1"), figures, strict=True)
    }
    assert score((SquadV2,), found, gold) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [SquadV1, ReCoRD])
def test_squad_v1_is_counted_as_torchmetrics_counts_it(metric: type[SquadV1]) -> None:
    """But for the last row, where nothing is left to compare: it takes SQuAD 2.0's count there."""
    gold, found = zip(*[row for row in ROWS[:-1] if row[0]], strict=True)
    expected = {"exact": 1 / 7, "f1": 3.4 / 7}  # of torchmetrics 1.9.0
    assert score((metric,), list(found), list(gold)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [SquadV1, SquadV2, ReCoRD])
@pytest.mark.parametrize(
    ("found", "gold", "exact", "f1"),
    [
        ("The Lamb", ["lamb"], 1, 1),
        ("Lamb!", ["the  LAMB"], 1, 1),
        ("red lamb", ["lamb"], 0, 2 / 3),
        ("lamb lamb", ["lamb"], 0, 2 / 3),  # a word counts as often as both have it
        ("red lamb", ["blue ox", "lamb", "red lamb of Oxford"], 0, 2 * 2 / (2 + 4)),
        ("red-lamb", ["red lamb"], 0, 0),  # punctuation goes without a space
        ("theatre", ["the theatre a"], 1, 1),
        ("", ["lamb"], 0, 0),
    ],
)
def test_answers_by_hand(
    metric: type[SquadV1], found: str, gold: list[str], exact: float, f1: float
) -> None:
    scores = score((metric,), [found], [gold])
    assert (scores["exact"], scores["f1"]) == pytest.approx((exact, f1))


def test_the_two_scripts_differ_where_nothing_is_left_to_compare() -> None:
    assert score((SquadV1,), ["an"], [["the"]]) == {"exact": 1, "f1": 0}
    assert score((SquadV2,), ["an"], [["the"]])["f1"] == 1


def test_questions_without_answers_want_an_empty_prediction() -> None:
    scores = score((SquadV2,), ["", "lamb", "lamb"], [[], [], ["lamb"]])
    assert scores["no_ans_exact"] == scores["no_ans_f1"] == 1 / 2
    assert scores["has_ans_exact"] == 1
    assert scores["exact"] == pytest.approx(2 / 3)


def test_a_part_without_questions_has_no_score() -> None:
    assert set(score((SquadV2,), [""], [[]])) == {"exact", "f1", "no_ans_exact", "no_ans_f1"}
