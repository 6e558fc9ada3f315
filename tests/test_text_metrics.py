"""Scores of texts: hand-worked cases, and what the official scorers give on the same rows."""

import ast
import math
from pathlib import Path

import pytest
import sacrebleu

from ptbench import metrics
from ptbench.errors import DataError
from ptbench.metrics import (
    BLEU,
    NIST,
    ROUGE,
    TER,
    CaptionROUGE,
    CharacterBLEU,
    CharacterROUGE,
    ChrF,
    CIDEr,
    Metric,
    StemMETEOR,
    UncasedBLEU,
    captions,
    score,
)

# Made up, in the manner of E2E; the sources differ in their number of texts.
FOUND = [
    "The Lamb is a family-friendly pub, near the river.",
    "Zucca serves cheap Italian food (its rating is 3.5).",
    "There's a coffee shop called Bert's in the centre; it doesn't serve children.",
    "Prices at Mo's are £20-25, and 'The Oak' is near it",
]
GOLD = [
    [
        "The Lamb is a pub near the river. It is family-friendly.",
        "Near the river is The Lamb, a pub for families.",
    ],
    [
        "Zucca serves Italian food at low prices.",
        "Zucca is cheap and Italian; its rating is 3.5.",
        "A cheap Italian: Zucca.",
    ],
    ["Bert's is a coffee shop in the centre. It doesn't welcome children."],
    [
        "Mo's, near The Oak, has prices of £20-25.",
        "Near 'The Oak' you find Mo's, where prices are £20-25.",
    ],
]
EVEN = [texts[:1] for texts in GOLD]  # each source with its first text only
# BLEU and NIST: pymteval of tuetschek/e2e-metrics (0.1.dev0 of gem-metrics-fork), a port of
# mteval-v13a; ROUGE-L and CIDEr: pycocoevalcap 1.2 behind Stanford's tokenizer.
OFFICIAL = {
    "many": (GOLD, 0.30286122764917905, 4.811008382088562, 0.6609617278462723, 3.3469257706939874),
    "one": (EVEN, 0.20253550974364562, 3.316271283561147, 0.5868221066913543, 3.479283564691726),
}


@pytest.mark.parametrize("texts", OFFICIAL)
def test_agrees_with_the_scorers_of_e2e(texts: str) -> None:
    gold, bleu, nist, rouge, cider = OFFICIAL[texts]
    scores = score((UncasedBLEU, NIST, CaptionROUGE, CIDEr), FOUND, gold)
    expected = {"bleu_uncased": bleu, "nist": nist, "rougeL_captions": rouge, "cider": cider / 10}
    assert scores == pytest.approx(expected, rel=1e-12)


def test_agrees_with_sacrebleu_called_plainly() -> None:
    streams = [[texts[0] for texts in GOLD]]
    expected = {
        "bleu": sacrebleu.corpus_bleu(FOUND, streams).score / 100,
        "chrf": sacrebleu.corpus_chrf(FOUND, streams).score / 100,
        "ter": sacrebleu.corpus_ter(FOUND, streams).score / 100,
    }
    assert score((BLEU, ChrF, TER), FOUND, EVEN) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FOUND[1], "zucca serves cheap italian food -lrb- its rating is 3.5 -rrb-"),
        (
            FOUND[2],
            "there 's a coffee shop called bert 's in the centre it does n't serve children",
        ),
        (FOUND[3], "prices at mo 's are # 20-25 and the oak is near it"),
    ],
)
def test_words_are_those_of_the_captioning_toolkit(text: str, expected: str) -> None:
    assert captions.words(text) == expected.split()  # as Stanford's tokenizer cuts them


def test_only_bleu_with_case_sees_case() -> None:
    lower = [text.lower() for text in FOUND]
    for metric in (UncasedBLEU, NIST, TER, ROUGE, CaptionROUGE, CIDEr, StemMETEOR):
        assert score((metric,), lower, GOLD) == score((metric,), FOUND, GOLD), metric
    for metric in (BLEU, ChrF):
        assert score((metric,), lower, GOLD) != score((metric,), FOUND, GOLD), metric


@pytest.mark.parametrize(
    ("metric", "found", "gold", "expected"),
    [
        # 5-, 4-, 3- and 2-grams in common of 6, 5, 4 and 3; nothing is too short
        (BLEU, "a b c d e f", ["a b c d e x"], {"bleu": (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25}),
        # one shift of four words
        (TER, "a c b d", ["a b c d"], {"ter": 1 / 4}),
        # the better text counts, over the mean length of both
        (TER, "a b c d", ["a b c x", "x x x x x x"], {"ter": 1 / 5}),
        # precisions 1 and 1, recalls 2/3 and 1/2 of 1- and 2-grams; F2 of the means 1 and 7/12
        (ChrF, "ab", ["abc"], {"chrf": 7 / 11}),
        # 4 bits a word of 4 words that come once in 4, and nothing for what follows
        (NIST, "a b c d", ["a b c d"], {"nist": 2.0}),
        # mteval-v13a counts no 2-grams of one word; the length is half, so less than 1/2 is left
        (NIST, "a", ["a b"], {"nist": 0.5 ** (math.log(2) / math.log(1.5)) ** 2}),
        (
            ROUGE,
            "the cat sat",
            ["the cats sat down"],
            {"rouge1": 6 / 7, "rouge2": 4 / 5, "rougeL": 6 / 7},
        ),
        # each score takes its own best text
        (ROUGE, "a b c", ["c b a", "a b x y z"], {"rouge1": 1, "rouge2": 2 / 6, "rougeL": 2 / 4}),
        # smoothing 3: no 4-gram of one in common counts as 1/2
        (
            CharacterBLEU,
            "天地人和",
            ["天地人心"],
            {"bleu_characters": (3 / 4 * 2 / 3 / 2 / 2) ** 0.25},
        ),
        (CharacterROUGE, "天地人", ["天人 合"], {"rouge1": 2 / 3, "rouge2": 0, "rougeL": 2 / 3}),
        # precision 1, recall 1/2
        (CaptionROUGE, "a b", ["a b c d"], {"rougeL_captions": 2.44 / 2 / (1 / 2 + 1.44)}),
        # all 3 words match, "boys" by its stem, in 3 chunks; precision 1, recall 3/4
        (
            StemMETEOR,
            "boys saw dogs",
            ["saw the boy dogs"],
            {"meteor_stem": (1 - 0.5 * (3 / 3) ** 3) * (1 * 3 / 4) / (0.9 * 1 + 0.1 * 3 / 4)},
        ),
        # the better text: 2 of 2 words in 1 chunk; a synonym ("film", "movie") is no match
        (
            StemMETEOR,
            "the film",
            ["a movie", "the film"],
            {"meteor_stem": 1 - 0.5 * (1 / 2) ** 3},
        ),
        (StemMETEOR, "film", ["movie"], {"meteor_stem": 0.0}),
        # with one source no word is rarer than another
        (CIDEr, "a b", ["a b"], {"cider": 0.0}),
    ],
)
def test_texts_by_hand(
    metric: type[Metric], found: str, gold: list[str], expected: dict[str, float]
) -> None:
    assert score((metric,), [found], [gold]) == pytest.approx(expected)


def test_cider_of_two_sources_by_hand() -> None:
    # log 2 for each word; cosines 1 of 1- and 2-grams, 0 of 3- and 4-grams there are none of
    scores = score((CIDEr,), ["a b", "x"], [["a b"], ["c d"]])
    assert scores["cider"] == pytest.approx((2 / 4 + 0) / 2)


@pytest.mark.parametrize(
    "metric",
    [
        *(BLEU, UncasedBLEU, NIST, ROUGE, ChrF, CaptionROUGE, CIDEr, StemMETEOR),
        *(CharacterBLEU, CharacterROUGE),
    ],
)
def test_an_empty_text_scores_nothing(metric: type[Metric]) -> None:
    assert set(score((metric,), ["", ""], [["a b", "c"], ["d"]]).values()) == {0.0}


def test_a_source_without_texts_is_named() -> None:
    with pytest.raises(DataError, match="row 2 has no text"):
        score((BLEU,), ["a", "b"], [["a"], []])


def test_no_text_scorer_is_imported_before_it_is_used() -> None:
    modules = [ast.parse(file.read_text()) for file in Path(metrics.__path__[0]).glob("*.py")]
    found = {
        name.split(".")[0]
        for module in modules
        for node in module.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        if name
    }
    assert "seqeval" in found
    assert not found & {"sacrebleu", "rouge_score", "nltk"}
