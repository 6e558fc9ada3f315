"""Choices: rows side by side, softmax over an example's own, as transformers computes it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMultipleChoice, PreTrainedTokenizerBase

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.errors import DataError
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Candidates, Choice, Grouped
from ptbench.kinds.choice import ChoiceHead
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.prompts import Prompt
from ptbench.templates import Encoder
from tasks.copa import COPA, connected
from tasks.multirc import numbered
from tasks.record import ReCoRD
from tests.families import FAMILIES

KIND = Choice(("a", "b"), "{premise}[SEP]{choice}", "{choice}", choices=("one", "more"))
ROWS: list[dict[str, Any]] = [
    {"premise": "pq", "one": "r", "more": ["s"], "label": 1},
    {"premise": "t", "one": "uv", "more": ["w", "xyz"], "label": "a"},
]
NEWS: dict[str, Any] = {
    "passage": "ab cd\n@highlight\nef",
    "query": "so @placeholder's gh",
    "entities": ["ab", "cd", "ab", "ef"],
    "answers": ["ef", "cd", "zz"],
}


@pytest.fixture(scope="module")
def letters(tiny: Random) -> PreTrainedTokenizerBase:
    return tiny.load().tokenizer


def batch(kind: Choice, rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> Batch:
    encoder = Encoder(tokenizer, 32)
    return kind.collate([kind.encode(row, encoder, kind.template) for row in rows], encoder)


def test_the_rows_of_an_example_stand_one_after_the_other(
    letters: PreTrainedTokenizerBase,
) -> None:
    found = batch(KIND, ROWS, letters)
    texts = [letters.decode(ids[mask]) for ids, mask in zip(found.ids, found.mask, strict=True)]
    assert texts == [
        "[CLS] pq [SEP] r [SEP]",
        "[CLS] pq [SEP] s [SEP]",
        "[CLS] t [SEP] uv [SEP]",
        "[CLS] t [SEP] w [SEP]",
        "[CLS] t [SEP] xyz [SEP]",
    ]
    assert found.sizes == (2, 3)
    assert found.targets.tolist() == [[1], [0]]


def test_an_example_is_judged_among_its_own_choices_alone(
    tiny: Random, letters: PreTrainedTokenizerBase
) -> None:
    backbone, given = tiny.load(), batch(KIND, ROWS, letters)
    head = ChoiceHead(backbone)
    torch.nn.init.ones_(head.classifier.weight)
    values = torch.tensor([1.0, 3.0, -1.0, -1.0, -2.0])  # of the five rows
    hidden = (values / 32)[:, None, None].expand(-1, given.ids.shape[1], 32)
    logits = head.eval()(backbone, head.read(backbone, hidden, given), given)
    assert logits[0, :2].tolist() == pytest.approx([1, 3])
    assert logits[1].tolist() == pytest.approx([-1, -1, -2])
    assert KIND.predict(logits, given) == [1, 0]
    absent = 0.0  # the place beside the first example's two choices has no share
    first = -3 + torch.tensor([1.0, 3.0]).exp().sum().log() + absent
    second = 1 + torch.tensor([-1.0, -1.0, -2.0]).exp().sum().log()
    assert KIND.loss(logits, given).item() == pytest.approx((first + second).item(), abs=1e-6)


def test_logits_and_loss_are_those_of_transformers(letters: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    sizes = {**FAMILIES["bert"], "vocab_size": letters.vocab_size}
    config = BertConfig(**sizes, attn_implementation=NAMES["sdpa"])
    theirs = BertForMultipleChoice(config).double().eval()
    backbone = Backbone(theirs.bert, letters, Pooling.pooler, None)
    head = ChoiceHead(backbone)
    head.classifier = theirs.classifier
    rows = [ROWS[0], {**ROWS[1], "more": ["w"]}]
    given = batch(KIND, rows, letters)
    model = Adapted(KIND, backbone, Prompt(), head, frozen=True, backbone_dropout=True).eval()
    logits = model(given)

    def paired(tensor: Tensor) -> Tensor:
        return tensor.view(2, 2, -1)

    expected = theirs(
        input_ids=paired(given.ids),
        attention_mask=paired(given.mask.long()),
        token_type_ids=paired(given.types),
        labels=given.targets[:, 0],
    )
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(KIND.loss(logits, given) / 2, expected.loss, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"one": 3}, "'one' is '3', not a text or a list of texts"),
        ({"more": ["a", 2]}, "'more' is .* not a text or a list"),
        ({"more": ["a", " "]}, "'choice' is empty"),
        ({"premise": ""}, "'premise' is empty"),
        ({"label": 2}, "label 2 in 'label' is unknown"),
    ],
)
def test_a_broken_row_is_refused(change: dict[str, Any], message: str) -> None:
    KIND.check(ROWS[0])
    with pytest.raises(DataError, match=message):
        KIND.check({**ROWS[0], **change})
        KIND.reference({**ROWS[0], **change})


@pytest.mark.parametrize("column", ["premise", "one", "more", "label"])
def test_a_missing_column_is_named(column: str) -> None:
    row = {name: value for name, value in ROWS[0].items() if name != column}
    with pytest.raises(DataError, match=f"column '{column}' is missing"):
        KIND.check(row)


def test_an_example_without_choices_is_refused() -> None:
    kind = Choice(("a",), "{premise}[SEP]{choice}", "", choices=("more",))
    with pytest.raises(DataError, match="no choice in more"):
        kind.check({"premise": "p", "more": [], "label": 0})


def test_copa_asks_in_words(letters: PreTrainedTokenizerBase) -> None:
    row = {"premise": "a.", "choice1": "b", "choice2": "c", "question": "effect", "label": 0}
    kind = COPA.kind
    assert isinstance(kind, Choice)
    found = batch(kind, [connected(row), connected({**row, "question": "cause"})], letters)
    texts = [letters.decode(ids[mask]) for ids, mask in zip(found.ids, found.mask, strict=True)]
    assert texts[:2] == ["[CLS] a. so [SEP] b [SEP]", "[CLS] a. so [SEP] c [SEP]"]
    assert texts[2] == "[CLS] a. because [SEP] b [SEP]"
    assert kind.answer(1, row) == "choice2"


def test_record_reads_the_query_with_each_entity_once(letters: PreTrainedTokenizerBase) -> None:
    kind = ReCoRD.kind
    assert isinstance(kind, Candidates)
    kind.check(NEWS)
    encoder = Encoder(letters, 64)
    features = kind.encode(NEWS, encoder, kind.template)
    assert [letters.decode(row.ids) for row in features.rows] == [
        f"[CLS] ab cd - ef [SEP] so {entity} ' s gh [SEP]" for entity in ("ab", "cd", "ef")
    ]
    assert features.target == [1, 2]
    assert [kind.answer(i, NEWS) for i in range(3)] == ["ab", "cd", "ef"]
    reference = kind.reference(NEWS)
    assert [kind.score([i], [reference])["f1"] for i in range(3)] == [0, 1, 1]
    assert kind.encode(kind.unlabelled(NEWS), encoder, kind.template).target == [IGNORE]


def test_each_right_candidate_has_its_cross_entropy(letters: PreTrainedTokenizerBase) -> None:
    kind = ReCoRD.kind
    encoder = Encoder(letters, 64)
    given = kind.collate([kind.encode(NEWS, encoder, kind.template)], encoder)
    logits = torch.tensor([[0.5, 2.0, -1.0]])
    expected = 2 * logits.logsumexp(1) - 2.0 - -1.0
    assert (given.targets != IGNORE).sum() == 2  # the loop divides by their number
    assert kind.loss(logits, given).item() == pytest.approx(expected.item())


def test_the_answers_to_a_question_are_scored_together() -> None:
    kind = Grouped(("False", "True"), text="{answer}", pattern="{answer}")
    asked = ((0, 0), (0, 0), (0, 1), (0, 1), (1, 0))
    labels = (1, 0, 0, 1, 1)
    rows = [
        numbered({"idx": {"paragraph": p, "question": q}, "answer": "x", "label": label})
        for (p, q), label in zip(asked, labels, strict=True)
    ]
    references = [kind.reference(row) for row in rows]
    scores = kind.score([1, 0, 1, 1, 0], references)  # the first question alone is all right
    assert scores == pytest.approx({"f1a": 2 * 2 / (3 + 3), "exact": 1 / 3})
    assert kind.constant(references) == [1] * 5
    assert kind.floor(references)["f1a"] == pytest.approx(2 * 3 / (5 + 3))
