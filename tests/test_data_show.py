"""`ptbench data show`: what a model reads, with each label under its piece."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ptbench.backbones import Backbone
from ptbench.data_show import beneath, chosen, marked, named, show
from ptbench.inputs import IGNORE
from ptbench.kinds import Classification, Features, Generation, Kind, Labelling, Roles, bio
from ptbench.models import Random
from ptbench.task import Task
from ptbench.templates import Encoder
from tests.runs import built, reviews, write_rows

TAGGED = Labelling(labels=bio("X"))
ROLES = Roles(labels=bio("A0", "V"))
PLAIN = Classification(labels=("no", "yes"), text="{text}", pattern="{text} [P] is [MASK]")


@pytest.fixture(scope="module")
def backbone(tiny: Random) -> Backbone:
    return tiny.load()


@pytest.fixture(scope="module")
def encoder(backbone: Backbone) -> Encoder:
    return Encoder(backbone.tokenizer, 32)


def columns(kind: Kind, row: dict[str, object], encoder: Encoder) -> list[tuple[str, str]]:
    """Each piece with what stands under it."""
    features = kind.encode(row, encoder, kind.template)
    (marks,) = marked(kind, features, encoder)
    pieces = named(features.encoded, encoder)
    return [(piece, marks.get(place, "")) for place, piece in enumerate(pieces)]


def test_a_label_stands_under_the_first_piece_of_its_word(encoder: Encoder) -> None:
    row = {"tokens": ["ab", "c"], "ner_tags": ["B-X", 2]}
    assert columns(TAGGED, row, encoder) == [
        ("[CLS]", ""),
        ("a", "B-X"),
        ("##b", ""),
        ("c", "I-X"),
        ("[SEP]", ""),
    ]


def test_the_predicate_is_read_again_and_has_no_label(encoder: Encoder) -> None:
    row = {"tokens": ["c", "ab"], "predicate_index": 1, "srl_tags": ["B-A0", "B-V"]}
    found = columns(ROLES, row, encoder)
    assert [label for _, label in found] == ["", "B-A0", "B-V", "", "", "", "", ""]
    assert [piece for piece, _ in found][4:] == ["[SEP]", "a", "##b", "[SEP]"]


def test_pseudo_tokens_have_numbers(encoder: Encoder) -> None:
    found = columns(PLAIN.patterned(2), {"text": "a", "label": 1}, encoder)
    assert [piece for piece, _ in found] == ["[CLS]", "a", "[P0]", "[P1]", "i", "##s", "[SEP]"]
    assert {label for _, label in found} == {""}


def test_a_text_to_write_stands_where_it_is_answered(encoder: Encoder) -> None:
    kind = Generation(text="{text}", pattern="{text}", target="out")
    found = columns(kind, {"text": "a", "out": "b c"}, encoder)
    assert [label for _, label in found if label] == ["b", "c", "[SEP]"]


def test_places_of_a_start_and_an_end(encoder: Encoder) -> None:
    kind = Classification(labels=("start", "end"), text="{text}", pattern="{text}")
    encoded = encoder.lay_out(kind.template, {"text": "abcd"})
    assert marked(kind, Features(encoded, [2, 3]), encoder) == [{2: "start", 3: "end"}]
    assert marked(kind, Features(encoded, [1, 1]), encoder) == [{1: "start, end"}]
    assert marked(kind, Features(encoded, IGNORE), encoder) == [{}]


def test_columns_are_broken_into_pairs_of_lines() -> None:
    lines = beneath(["a", "bcd", "e", "f"], ["LONG", "", "X", ""], 10)
    assert lines == ["a    bcd", "LONG", "e f", "X"]
    assert beneath(["长", "b"], ["X", "Y"], 80) == ["长 b", "X  Y"]


def test_three_rows_show_as_many_classes_as_they_can() -> None:
    rows = [{"text": "a", "label": label} for label in (0, 0, 0, 1)]
    places = [place for place, _ in chosen(PLAIN, ((str(i), row) for i, row in enumerate(rows)), 3)]
    assert places == ["0", "3", "1"]
    assert len(chosen(PLAIN, iter([("0", rows[0])]), 3)) == 1


def test_the_whole_as_it_is_printed(tmp_path: Path, backbone: Backbone) -> None:
    write_rows(tmp_path / "sst2" / "train.jsonl", reviews(3))
    task: Task = built("task=sst2", "model=tiny").task
    out = io.StringIO()
    show(task, backbone, tmp_path, "train", task.asks, Console(file=out, width=60))
    said = out.getvalue().splitlines()
    assert said[:6] == [
        f"{tmp_path}/sst2/train.jsonl, line 1",
        "  sentence: a dull film 0",
        "  label: 0",
        "  [CLS] a d ##u ##l ##l f ##i ##l ##m 0 [SEP]",
        "  answer: negative",
        f"{tmp_path}/sst2/train.jsonl, line 2",
    ]
    assert len(said) == 15
