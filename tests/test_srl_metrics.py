"""SRL by arguments: hand-worked cases, and the counts that CoNLL-2005's own script printed."""

import pytest

from ptbench.metrics import EntityF1, SrlF1, score

# Made up. Each pair is one predicate's gold and predicted labels.
ROWS = [
    ("B-A0 B-V B-A1 I-A1 O", "B-A0 B-V B-A1 I-A1 O"),
    ("B-A0 I-A0 B-V B-A1 B-AM-TMP", "B-A0 I-A0 B-V B-A1 B-AM-LOC"),
    ("B-A1 B-V B-C-A1 I-C-A1 O", "B-A1 B-V B-C-A1 I-C-A1 O"),
    ("B-A1 B-V B-C-A1 I-C-A1 O", "B-A1 B-V B-C-A1 O O"),
    ("B-A1 B-V B-C-A1 O O", "B-A1 B-V B-A2 O O"),
    ("O B-V B-A1 O O", "O B-V B-C-A1 O O"),
    ("B-A0 B-R-A0 B-V B-A1 I-A1", "B-A0 B-R-A1 B-V B-A1 I-A1"),
    ("B-V B-A1 B-C-V O B-AM-MNR", "B-V B-A1 O O B-AM-MNR"),
    ("O O B-V O O", "B-A0 O O B-V O"),
    ("B-A1 O B-C-A1 B-V B-C-A1", "B-A1 O B-C-A1 B-V B-C-A1"),
    ("B-A1 O B-C-A1 B-V B-C-A1", "B-A1 O B-C-A1 B-V O"),
    ("B-A0 B-V O B-A0 B-C-A0", "B-A0 B-V O B-A0 B-C-A0"),
]
# srl-eval.pl on ROWS, its columns "corr.", "excess", "missed" of the line "Overall".
RIGHT, EXCESS, MISSED = 13, 7, 5


def rows() -> tuple[list[list[str]], list[list[str]]]:
    """Predictions and references."""
    gold, found = zip(*[(gold.split(), found.split()) for gold, found in ROWS], strict=True)
    return list(found), list(gold)


def test_arguments_are_counted_as_srl_eval_counts_them() -> None:
    precision, recall = RIGHT / (RIGHT + EXCESS), RIGHT / (RIGHT + MISSED)
    f1 = 2 * precision * recall / (precision + recall)
    expected = {"srl_f1": f1, "srl_precision": precision, "srl_recall": recall}
    assert score((SrlF1,), *rows()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "gold", "precision", "recall"),
    [
        ("B-A0 B-V B-A1", "B-A0 B-V B-A1", 1, 1),
        ("B-A0 O B-V", "B-A0 B-V O", 1, 1),  # where the verb is does not count
        ("B-A1 B-V B-C-A1", "B-A1 B-V O", 0, 0),  # an argument in two parts is another
        ("O B-V B-C-A1", "O B-V B-A1", 1, 1),  # nothing for the C- to go on with
        ("B-A0 B-R-A0 B-V", "B-A0 B-A0 B-V", 1 / 2, 1 / 2),  # R- is a role of its own
        ("B-V B-A1 O", "B-V B-A1 B-C-V", 1, 1),  # a verb in two parts is a verb
        ("O B-V O", "B-A0 B-V O", 0, 0),
        ("O B-V O", "O B-V O", 0, 0),
    ],
)
def test_arguments_by_hand(found: str, gold: str, precision: float, recall: float) -> None:
    scores = score((SrlF1,), [found.split()], [gold.split()])
    assert (scores["srl_precision"], scores["srl_recall"]) == (precision, recall)


def test_with_the_verb_every_span_counts_as_ptuning_v2_reports_it() -> None:
    found, gold = [["B-A1", "B-V", "B-C-A1"]], [["B-A1", "B-V", "B-C-A2"]]
    assert score((EntityF1,), found, gold)["f1"] == pytest.approx(2 / 3)
    assert score((SrlF1,), found, gold)["srl_f1"] == 0


def test_the_same_argument_of_two_predicates_is_two() -> None:
    gold = [["B-A0", "B-V"], ["B-A0", "B-V"]]
    assert score((SrlF1,), [gold[0], ["O", "B-V"]], gold)["srl_recall"] == 1 / 2
