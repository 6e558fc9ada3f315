"""ROUGE-L and CIDEr as the captioning toolkit (coco-caption) computes them, which scores E2E."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import ClassVar

from ptbench.metrics.texts import TextMetric

Gram = tuple[str, ...]
# Stanford's tokenizer parts these from words, and the toolkit then drops them: a full stop but in
# a decimal, a dash or an opening quote at the edge of a word.
EDGES = re.compile(r"\.(?!\d)|(?<!\w)'|-(?!\w)|(?<!\w)-")
DROPPED = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
NAMES = {"(": "-lrb-", ")": "-rrb-", "£": "#"}


class CaptionROUGE(TextMetric):
    """ROUGE-L with beta 1.2 of the best precision and the best recall over a source's texts."""

    beta: ClassVar[float] = 1.2

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        rows = []
        for found, texts in zip(map(words, predictions), references, strict=True):
            gold = [words(text) for text in texts]
            shared = [_common(found, text) for text in gold]
            precision = max(n / max(len(found), 1) for n in shared)
            recall = max(n / max(len(text), 1) for n, text in zip(shared, gold, strict=True))
            weighted = recall + self.beta**2 * precision
            rows.append((1 + self.beta**2) * precision * recall / (weighted or 1))
        return {"rougeL_captions": fmean(rows)}


class CIDEr(TextMetric):
    """CIDEr-D (Vedantam et al. 2015), a tenth of the toolkit's figure: that ends at 10.

    The mean over 1- to 4-grams of the cosine of their counts, each weighted by the log of how few
    sources' texts have it; counts are clipped, and lengths that differ cost (sigma 6).
    """

    sigma: ClassVar[float] = 6.0

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        gold = [[_grams(words(text)) for text in texts] for texts in references]
        sources = Counter(gram for texts in gold for gram in set().union(*texts))
        rarity = defaultdict(lambda: math.log(len(gold)))
        rarity |= {gram: math.log(len(gold) / count) for gram, count in sources.items()}
        rows = [
            fmean(self._likeness(_grams(words(found)), text, rarity) for text in texts)
            for found, texts in zip(predictions, gold, strict=True)
        ]
        return {"cider": fmean(rows)}

    def _likeness(
        self, found: Counter[Gram], gold: Counter[Gram], rarity: Mapping[Gram, float]
    ) -> float:
        products, own, other = ([0.0] * 4 for _ in range(3))
        for gram, count in found.items():
            own[len(gram) - 1] += (count * rarity[gram]) ** 2
            clipped = min(count, gold[gram]) * gold[gram] * rarity[gram] ** 2
            products[len(gram) - 1] += clipped
        for gram, count in gold.items():
            other[len(gram) - 1] += (count * rarity[gram]) ** 2
        longer = _pairs(found) - _pairs(gold)
        cosines = (
            p / (math.sqrt(a * b) or 1) for p, a, b in zip(products, own, other, strict=True)
        )
        return fmean(cosines) * math.exp(-(longer**2) / (2 * self.sigma**2))


def words(text: str) -> list[str]:
    """The toolkit's words: Penn Treebank's, in lower case, without punctuation."""
    from nltk.tokenize import TreebankWordTokenizer

    parted = EDGES.sub(" ", text.lower()).replace("£", " £ ")
    cut = TreebankWordTokenizer().tokenize(parted)
    return [NAMES.get(word, word) for word in cut if word not in DROPPED]


def _grams(text: list[str]) -> Counter[Gram]:
    orders = range(1, 5)
    return Counter(tuple(text[i : i + n]) for n in orders for i in range(len(text) - n + 1))


def _pairs(grams: Counter[Gram]) -> int:
    """The toolkit takes the number of 2-grams for the length."""
    return sum(count for gram, count in grams.items() if len(gram) == 2)


def _common(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, rival in enumerate(other, 1):
            before, row[place] = (
                row[place],
                (before + 1 if word == rival else max(row[place], row[place - 1])),
            )
    return row[-1]
