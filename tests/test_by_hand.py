"""Each kind from text to score, every figure worked out by hand; spans in test_span.py."""

from math import exp, log
from typing import Any

import pytest
import torch

from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import (
    Choice,
    Classification,
    Cloze,
    Fact,
    Generation,
    Kind,
    Labelling,
    Regression,
    bio,
)
from ptbench.models import Random
from ptbench.templates import Encoder

Row = dict[str, Any]


@pytest.fixture
def encoder(tiny: Random) -> Encoder:
    """A letter is a token."""
    return Encoder(tiny.load().tokenizer, 32)


def read(kind: Kind, rows: list[Row], encoder: Encoder) -> tuple[Batch, list[str]]:
    """The batch that a model reads, and each of its rows as text."""
    batch = kind.collate([kind.encode(row, encoder, kind.template) for row in rows], encoder)
    texts = [
        " ".join(encoder.tokenizer.convert_ids_to_tokens(ids[mask].tolist()))
        for ids, mask in zip(batch.ids, batch.mask, strict=True)
    ]
    return batch, texts


def scores(kind: Kind, found: list[Any], rows: list[Row]) -> dict[str, float]:
    return kind.score(found, [kind.reference(row) for row in rows])


def test_classification(encoder: Encoder) -> None:
    kind = Classification(labels=("no", "yes"), text="{x}[SEP]{y}", pattern="")
    rows = [{"x": "ab", "y": "c", "label": "yes"}, {"x": "d", "y": "e", "label": 1}]
    batch, texts = read(kind, rows, encoder)
    assert texts == ["[CLS] a ##b [SEP] c [SEP]", "[CLS] d [SEP] e [SEP]"]
    assert batch.types.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]]
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    loss = log(exp(0) + exp(1)) - 1 + log(exp(2) + exp(0)) - 0
    assert kind.loss(logits, batch).item() == pytest.approx(loss)
    found = kind.predict(logits, batch)
    assert [kind.answer(*pair) for pair in zip(found, rows, strict=True)] == ["yes", "no"]
    assert scores(kind, found, rows) == {"accuracy": 1 / 2}


def test_choice(encoder: Encoder) -> None:
    kind = Choice(("first", "second"), "{x}[SEP]{choice}", "", choices=("one", "two"))
    rows = [{"x": "a", "one": "b", "two": "c", "label": 1}]
    rows.append({"x": "d", "one": "e", "two": "f", "label": 1})
    batch, texts = read(kind, rows, encoder)
    assert texts == [f"[CLS] {a} [SEP] {b} [SEP]" for a, b in ("ab", "ac", "de", "df")]
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    loss = log(exp(0) + exp(1)) - 1 + log(exp(2) + exp(0)) - 0
    assert kind.loss(logits, batch).item() == pytest.approx(loss)
    assert scores(kind, kind.predict(logits, batch), rows) == {"accuracy": 1 / 2}


def test_labelling(encoder: Encoder) -> None:
    kind = Labelling(labels=bio("X"))
    row = {"tokens": ["ab", "c", "de"], "ner_tags": ["B-X", "O", "B-X"]}
    batch, texts = read(kind, [row], encoder)
    assert texts == ["[CLS] a ##b c d ##e [SEP]"]
    assert batch.targets.tolist() == [[IGNORE, 1, IGNORE, 0, 1, IGNORE, IGNORE]]
    logits = torch.zeros(1, 7, 3)
    logits[0, 1, 1] = logits[0, 3, 2] = logits[0, 4, 1] = 1.0  # B-X, I-X, B-X
    each = log(exp(1) + 2)  # less 1 where the label is right
    assert kind.loss(logits, batch).item() == pytest.approx(3 * each - 2)
    found = kind.predict(logits, batch)
    assert found == [["B-X", "I-X", "B-X"]]
    # of two entities found and two there are, the second is one and the same
    assert scores(kind, found, [row]) == {"f1": 1 / 2, "precision": 1 / 2, "recall": 1 / 2}


def test_labels_beyond_the_limit_are_missed_and_not_dropped(encoder: Encoder) -> None:
    kind = Labelling(labels=bio("X"))
    row = {"tokens": ["ab", "c", "de"], "ner_tags": ["B-X", "O", "B-X"]}
    batch, texts = read(kind, [row], encoder.within(5))
    assert texts == ["[CLS] a ##b c [SEP]"]
    logits = torch.zeros(1, 5, 3)
    logits[0, 1, 1] = 1.0
    found = kind.predict(logits, batch)
    assert found == [["B-X", "O"]]
    assert kind.answer(found[0], row) == ["B-X", "O", "O"]
    # one of two entities found, and nothing wrong
    expected = {"f1": 2 / 3, "precision": 1, "recall": 1 / 2}
    assert scores(kind, found, [row]) == pytest.approx(expected)


def test_cloze(encoder: Encoder, tiny: Random) -> None:
    plain = Classification(("bad", "good"), "{x}", "{x} is [MASK]", words=("n", "y"))
    kind = Cloze.of(plain, 1)
    rows = [{"x": "ab", "label": 1}, {"x": "c", "label": 1}]
    batch, texts = read(kind, rows, encoder)
    assert texts == ["[CLS] a ##b i ##s [MASK] [SEP]", "[CLS] c i ##s [MASK] [SEP]"]
    assert batch.answer.tolist() == [5, 4]
    words: Any = kind.head(tiny.load()).words
    assert encoder.tokenizer.convert_ids_to_tokens(words.tolist()) == ["n", "y"]
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])  # of these two words
    assert scores(kind, kind.predict(logits, batch), rows) == {"accuracy": 1 / 2}


def test_fact(encoder: Encoder, tiny: Random) -> None:
    backbone = tiny.load()
    kind = Fact("{s} is [MASK] .", "[P] [MASK] {s}", "o").fitted(backbone)
    rows = [{"s": "ab", "o": "x"}, {"s": "c", "o": "y"}, {"s": "d", "o": "xy"}]
    assert [kind.fits(row, encoder) for row in rows] == [True, True, False]
    batch, texts = read(kind, rows[:2], encoder)
    assert texts == ["[CLS] a ##b i ##s [MASK] . [SEP]", "[CLS] c i ##s [MASK] . [SEP]"]
    numbers: Any = encoder.tokenizer.convert_tokens_to_ids(["x", "y"])
    x, y = numbers
    assert batch.targets.tolist() == [[x], [y]]
    logits = torch.zeros(2, backbone.words.num_embeddings)
    logits[:, x] = 1.0
    found = kind.predict(logits, batch)
    assert found == ["x", "x"]
    assert scores(kind, found, rows[:2]) == {"p_at_1": 1 / 2}


def test_generation(encoder: Encoder) -> None:
    kind = Generation(text="{x}", pattern="", target="y")
    rows = [{"x": "ab", "y": "c d e f g h"}, {"x": "ab", "y": "w"}]
    (row,) = kind.for_evaluation(rows)
    first = kind.for_training(rows)[0]
    batch, texts = read(kind, [first], encoder)
    begin, end = encoder.tokenizer.convert_ids_to_tokens([encoder.begin, encoder.end])
    assert texts == [f"[CLS] a ##b [SEP] {begin} c d e f g h"]
    told = encoder.tokenizer.convert_ids_to_tokens(batch.targets[0][batch.targets[0] >= 0].tolist())
    assert told == [*"cdefgh", end]
    # 5-, 4-, 3- and 2-grams in common of 6, 5, 4 and 3, and as long as the nearest text
    expected = {"bleu": (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25}
    assert scores(kind, ["c d e f g x"], [row]) == pytest.approx(expected)


def test_regression(encoder: Encoder) -> None:
    kind = Regression(text="{x}", pattern="", least=0.0, most=5.0)
    rows = [{"x": x, "label": label} for x, label in (("a", 1), ("b", 2.0), ("c", 3.0))]
    batch, texts = read(kind, rows, encoder)
    assert texts == ["[CLS] a [SEP]", "[CLS] b [SEP]", "[CLS] c [SEP]"]
    logits = torch.tensor([[1.0], [4.0], [2.5]])
    assert kind.loss(logits, batch).item() == 0 + 2**2 + 0.5**2
    found = kind.predict(logits, batch)
    # deviations -1, 0, 1 and -1.5, 1.5, 0; ranks 1, 2, 3 and 1, 3, 2
    expected = {"pearson": 1.5 / (2 * 4.5) ** 0.5, "spearman": 1 / 2}
    assert scores(kind, found, rows) == pytest.approx(expected)
