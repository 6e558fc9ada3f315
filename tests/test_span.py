"""Spans: windows as tokenizers overflow, logits and loss as in transformers, the best span."""

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerBase

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.errors import BackboneError, DataError
from ptbench.inputs import Batch
from ptbench.kinds import Features, Span
from ptbench.kinds.span import NOTHING, SpanHead
from ptbench.method import Adapted
from ptbench.metrics import SquadV2
from ptbench.models import Random
from ptbench.prompts import Prompt
from ptbench.templates import Encoder
from tests.families import FAMILIES
from tests.test_templates import WORDS, byte_level, wordpiece  # noqa: F401  # a fixture

V1, V2 = Span(), Span(metrics=(SquadV2,), null_threshold=0.0)
ROW: dict[str, Any] = {
    "question": "who ?",
    "context": "it was Ada Lovelace, no other.",
    "answers": {"text": ["Ada Lovelace", "Ada"], "answer_start": [7, 7]},
}


@pytest.fixture(scope="module")
def letters(tiny: Random) -> PreTrainedTokenizerBase:
    return tiny.load().tokenizer


def encoded(kind: Span, row: dict[str, Any], encoder: Encoder) -> Features:
    return kind.encode(row, encoder, kind.template)


def batch(kind: Span, rows: list[dict[str, Any]], encoder: Encoder) -> Batch:
    return kind.collate([encoded(kind, row, encoder) for row in rows], encoder)


def random_row(draw: random.Random) -> dict[str, Any]:
    """A context of real words with an answer somewhere in it."""
    words = draw.choices(WORDS, k=draw.randint(1, 60))
    first = draw.randrange(len(words))
    answer = " ".join(words[first : first + draw.randint(1, 3)])
    start = len(" ".join(["", *words[:first]]).lstrip()) + (first > 0)
    answers = {"text": [answer], "answer_start": [start]}
    return {"question": "the cat ?", "context": " ".join(words), "answers": answers}


@pytest.fixture(params=["wordpiece", "byte_level"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    if request.param == "byte_level":
        return byte_level(add_prefix_space=False)
    return request.getfixturevalue("wordpiece")


def inked(text: str, bounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The bounds without white space, which the library leaves in front of a window's first one."""
    trimmed = [(end - len(text[start:end].lstrip()), end) for start, end in bounds]
    return [(start, end) for start, end in trimmed if start < end]


@pytest.mark.parametrize(("length", "stride"), [(24, 4), (40, 12), (60, 2)])
def test_windows_are_the_tokenizers_own(
    tokenizer: PreTrainedTokenizerBase, length: int, stride: int
) -> None:
    draw, kind, encoder = random.Random(0), replace(V1, stride=stride), Encoder(tokenizer, length)
    for row in (random_row(draw) for _ in range(20)):
        expected: Any = tokenizer(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found = encoded(kind, row, encoder).rows
        assert [window.ids for window in found] == expected["input_ids"]
        for number, window in enumerate(found):
            second = [i for i, s in enumerate(expected.sequence_ids(number)) if s == 1]
            assert window.places["context"] == second
            offsets = [expected["offset_mapping"][number][i] for i in second]
            assert inked(row["context"], window.characters) == inked(row["context"], offsets)


def test_an_answer_is_where_its_text_is_and_nowhere_in_other_windows(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    draw, kind, encoder = random.Random(1), replace(V1, stride=12), Encoder(tokenizer, 48)
    for row in (random_row(draw) for _ in range(30)):
        kind.check(row)
        features = encoded(kind, row, encoder)
        answer, start = row["answers"]["text"][0], row["answers"]["answer_start"][0]
        for number, window in enumerate(features.rows):
            assert isinstance(features.target, list)
            first, last = features.target[2 * number : 2 * number + 2]
            pieces = dict(zip(window.places["context"], window.characters, strict=True))
            bounds = list(pieces.values())
            if bounds[0][0] <= start and start + len(answer) <= bounds[-1][1]:
                assert (pieces[first][0], pieces[last][1]) == (start, start + len(answer))
            else:
                assert first == last == 0 == window.answer


def test_from_text_to_score_by_hand(letters: PreTrainedTokenizerBase) -> None:
    given = batch(V1, [ROW], Encoder(letters, 48))
    tokens: Any = letters.convert_ids_to_tokens(given.ids[0])
    # [CLS] w ##h ##o ? [SEP] i ##t w ##a ##s a ##d ##a l ##o ...
    assert tokens[:6] == ["[CLS]", "w", "##h", "##o", "?", "[SEP]"]
    assert given.targets.tolist() == [[11, 21]]
    assert "".join(tokens[11:22]).replace("##", "") == "adalovelace"
    logits = torch.zeros(1, len(tokens), 2)
    logits[0, 11, 0], logits[0, 13, 1], logits[0, 21, 1] = 2.0, 1.5, 1.0
    (found,) = V1.predict(logits, given)
    assert V1.answer(found, ROW) == "Ada"  # 2.0 + 1.5 beats 2.0 + 1.0
    assert V1.score([found], [V1.reference(ROW)]) == {"exact": 1.0, "f1": 1.0}
    logits[0, 21, 1], logits[0, 13, 1] = 1.5, 1.0
    (found,) = V1.predict(logits, given)
    assert V1.answer(found, ROW) == "Ada Lovelace"
    logits[0, 24, 1] = 3.0
    (found,) = V1.predict(logits, given)
    assert V1.answer(found, ROW) == "Ada Lovelace, no"
    scores = V1.score([found], [V1.reference(ROW)])
    assert scores == pytest.approx({"exact": 0, "f1": 2 * 2 / (3 + 2)})


def plainly(kind: Span, logits: Tensor, given: Batch) -> list[tuple[int, int]]:
    """The same choice written as the scripts have it: loops over the best starts and ends."""
    assert given.characters is not None
    answers, row = [], 0
    for size in given.sizes:
        spans, nothing = [], []
        for window in range(row, row + size):
            text = [i for i, real in enumerate(given.text[window]) if real]
            start, end = logits[window, :, 0].tolist(), logits[window, :, 1].tolist()
            null = int(given.answer[window])
            nothing.append(start[null] + end[null])
            bounds = given.characters[window].tolist()
            for i in sorted(text, key=lambda i: -start[i])[: kind.n_best]:
                for j in sorted(text, key=lambda j: -end[j])[: kind.n_best]:
                    if min(bounds[i][0], bounds[j][0]) < 0 or not 0 <= j - i < kind.max_pieces:
                        continue
                    spans.append((start[i] + end[j], bounds[i][0], bounds[j][1]))
        row += size
        best = max(spans, default=(-float("inf"), 0, 0))
        threshold = kind.null_threshold
        refused = threshold is not None and min(nothing) - best[0] > threshold
        answers.append(NOTHING if refused else best[1:])
    return answers


@pytest.mark.parametrize("n_best", [2, 20])
@pytest.mark.parametrize("threshold", [None, 0.0, 1.5, -2.0])
def test_the_best_span_is_what_plain_loops_find(
    letters: PreTrainedTokenizerBase, n_best: int, threshold: float | None
) -> None:
    draw = random.Random(2)
    kind = replace(V1, stride=5, n_best=n_best, max_pieces=4, null_threshold=threshold)
    given = batch(kind, [random_row(draw) for _ in range(20)], Encoder(letters, 32))
    assert max(given.sizes) > 3
    logits = torch.randn(*given.ids.shape, 2, generator=torch.Generator().manual_seed(0))
    logits[range(len(logits)), given.answer] += 2
    found = kind.predict(logits, given)
    assert found == plainly(kind, logits, given)
    refused = found.count(NOTHING)
    assert len(found) == 20 and refused < 20
    assert bool(refused) == (threshold is not None or n_best == 2)


def test_padding_and_company_change_neither_loss_nor_answer(
    letters: PreTrainedTokenizerBase,
) -> None:
    draw, encoder = random.Random(3), Encoder(letters, 32)
    rows = [random_row(draw) for _ in range(6)]
    together = batch(V2, rows, encoder)
    logits = torch.randn(*together.ids.shape, 2, generator=torch.Generator().manual_seed(0))
    answers, loss, row = [], torch.tensor(0.0), 0
    for one in rows:
        alone = batch(V2, [one], encoder)
        part = logits[row : row + alone.sizes[0], : alone.ids.shape[1]]
        answers += V2.predict(part, alone)
        loss = loss + V2.loss(part, alone)
        row += alone.sizes[0]
    assert V2.predict(logits, together) == answers
    torch.testing.assert_close(V2.loss(logits, together), loss)


def test_logits_and_loss_are_those_of_transformers(letters: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    sizes = {**FAMILIES["bert"], "vocab_size": letters.vocab_size}
    config = BertConfig(**sizes, attn_implementation=NAMES["sdpa"])
    theirs = BertForQuestionAnswering(config).double().eval()
    backbone = Backbone(theirs.bert, letters, Pooling.first, None)
    head = SpanHead(backbone)
    head.classifier = theirs.qa_outputs
    given = batch(V1, [ROW, {**ROW, "question": "how ?"}], Encoder(letters, 48))
    model = Adapted(V1, backbone, Prompt(), head, frozen=True, backbone_dropout=True).eval()
    logits = model(given)
    expected = theirs(
        input_ids=given.ids,
        attention_mask=given.mask.long(),
        token_type_ids=given.types,
        start_positions=given.targets[:, 0],
        end_positions=given.targets[:, 1],
    )
    torch.testing.assert_close(logits[..., 0], expected.start_logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(logits[..., 1], expected.end_logits, rtol=0, atol=1e-12)
    loss = V1.loss(logits, given) / given.targets.numel()
    torch.testing.assert_close(loss, expected.loss, rtol=0, atol=1e-12)


def test_pseudo_tokens_move_the_answer_and_are_never_part_of_it(
    letters: PreTrainedTokenizerBase,
) -> None:
    encoder = Encoder(letters, 48)
    plain = encoded(V1, ROW, encoder)
    assert plain.target == [11, 21]
    assert encoded(V1.in_front(3), ROW, encoder).target == [14, 24]
    kind = V1.patterned(2)  # [P] {question} [P][SEP]{context}
    assert encoded(kind, ROW, encoder).target == [15, 25]
    given = batch(kind, [ROW], encoder)
    logits = torch.zeros(*given.ids.shape, 2)
    logits[given.slots >= 0] = 9.0
    logits[0, 15, 0] = logits[0, 16, 1] = 1.0
    assert kind.answer(kind.predict(logits, given)[0], ROW) == "Ad"


def test_without_a_first_token_the_last_one_stands_for_no_answer() -> None:
    tokenizer = byte_level(add_prefix_space=False)
    tokenizer._tokenizer.post_processor = None  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.cls_token = tokenizer.sep_token = None  # a decoder's: an end, which it never puts
    unanswerable = V2.unlabelled(ROW)
    encoder = Encoder(tokenizer, 24)
    features = encoded(V2, unanswerable, encoder)
    assert len(features.rows) > 1
    for row in features.rows:
        assert row.ids[-1] == tokenizer.eos_token_id
        assert row.answer == len(row.ids) - 1 > row.places["context"][-1]
        assert len(row.ids) <= 24
    assert features.target == [place for row in features.rows for place in [row.answer] * 2]


def test_a_long_question_leaves_half_of_the_room(letters: PreTrainedTokenizerBase) -> None:
    features = encoded(V1, {**ROW, "question": "b" * 99}, Encoder(letters, 23))
    for row in features.rows:
        assert len(row.places["question"]) == 10
        assert 0 < len(row.places["context"]) <= 10
        assert len(row.ids) <= 23
    seen = {piece for row in features.rows for piece in row.characters}
    whole = encoded(V1, ROW, Encoder(letters, 99)).rows[0].characters
    assert seen == set(whole)


def test_no_answer_is_the_floor() -> None:
    answered, unanswerable = V2.reference(ROW), V2.reference(V2.unlabelled(ROW))
    assert V2.floor([answered, unanswerable, unanswerable])["exact"] == pytest.approx(2 / 3)
    assert V1.floor([answered])["f1"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {"text": ["Ada"], "answer_start": [8]}}, "'Ada' does not stand at char.* 8"),
        ({"answers": {"text": ["Ada"], "answer_start": []}}, "lists 'text' and 'answer_start'"),
        ({"answers": ["Ada"]}, "'answers' is .* not an object with lists"),
        ({"answers": {"text": [], "answer_start": []}}, "every question has one"),
        ({"context": " "}, "'context' is empty"),
        ({"question": None}, "'question' is 'None', not a text"),
    ],
)
def test_a_broken_row_is_refused(change: dict[str, Any], message: str) -> None:
    V1.check(ROW)
    with pytest.raises(DataError, match=message):
        V1.check({**ROW, **change})


def test_a_tokenizer_without_offsets_is_refused(letters: PreTrainedTokenizerBase) -> None:
    class Slow:
        """As a tokenizer in Python alone says of itself."""

        is_fast = False

    encoder = Encoder(letters, 48)
    encoder.frames  # noqa: B018  # asked of the real one
    encoder.tokenizer = Slow()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(BackboneError, match="Slow does not tell which characters"):
        encoder.located(V1.template, "context", "a")
