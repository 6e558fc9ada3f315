"""Semantic roles: the predicate is read again behind the sentence; V does not count officially."""

import pytest

from ptbench.errors import DataError
from ptbench.inputs import IGNORE
from ptbench.kinds import Labelling, Roles, bio
from ptbench.models import Random
from ptbench.templates import Encoder
from tests.runs import built

KIND = Roles(labels=bio("A0", "A1", "V"))
ROW = {"tokens": ["ab", "c", "de"], "predicate_index": 1, "srl_tags": ["B-A0", "B-V", "B-A1"]}


def test_the_sentence_is_read_as_without_roles_and_its_predicate_behind_it(tiny: Random) -> None:
    encoder = Encoder(tiny.load().tokenizer, 32)
    plain = Labelling(labels=KIND.labels, target="srl_tags")
    alone = plain.encode(ROW, encoder, plain.template)
    found = KIND.encode(ROW, encoder, KIND.template)
    predicate, end = encoder.word("c"), encoder.frames[1][0][-1]
    assert found.encoded.ids == [*alone.encoded.ids, *predicate, *end]
    assert found.target == [*alone.targets, *[IGNORE] * len([*predicate, *end])]
    assert found.encoded.types == [0] * len(alone) + [1] * len([*predicate, *end])


def test_the_predicate_stays_when_the_sentence_is_cut(tiny: Random) -> None:
    encoder = Encoder(tiny.load().tokenizer, 6)
    found = KIND.encode(ROW, encoder, KIND.template)
    words = tiny.load().tokenizer.convert_ids_to_tokens(found.encoded.ids)
    assert words == ["[CLS]", "a", "##b", "[SEP]", "c", "[SEP]"]
    assert found.targets == [IGNORE, 1, IGNORE, IGNORE, IGNORE, IGNORE]


def test_v_counts_in_one_score_and_not_in_the_other() -> None:
    gold = [KIND.reference(ROW)]
    assert KIND.classes(ROW) == ["A0", "V", "A1"]
    only_v = KIND.score([["O", "B-V", "O"]], gold)
    assert (only_v["f1"], only_v["srl_f1"]) == (0.5, 0.0)
    without_v = KIND.score([["B-A0", "O", "B-A1"]], gold)
    assert (without_v["f1"], without_v["srl_f1"]) == (0.8, 1.0)


WRONG = {
    "'predicate_index' is 3, not one of the 3 words": {"predicate_index": 3},
    "'predicate_index' is '1', not one of the 3 words": {"predicate_index": "1"},
    "'tokens' is \"['a', 3]\", not a list of words": {"tokens": ["a", 3]},
    "3 words, but 1 labels in 'srl_tags'": {"srl_tags": ["O"]},
    "'srl_tags' is '7', not a list of labels": {"srl_tags": 7},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_row_is_named(message: str) -> None:
    KIND.check(ROW)
    with pytest.raises(DataError) as caught:
        KIND.check({**ROW, **WRONG[message]})
    assert str(caught.value) == message
    with pytest.raises(DataError, match="column 'predicate_index' is missing"):
        KIND.check({"tokens": ["a"], "srl_tags": ["O"]})


@pytest.mark.parametrize(("task", "labels"), [("conll05", 106), ("conll12", 116)])
def test_the_labels_are_as_many_as_in_p_tuning_v2(task: str, labels: int) -> None:
    assert len(built(f"task={task}", "model=tiny").task.kind.labels) == labels
