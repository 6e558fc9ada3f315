"""Scores of generated texts, each against all texts written for its source.

The packages are imported when a text is scored: they take a second, and few commands score texts.
"""

import math
from abc import abstractmethod
from collections import Counter
from itertools import zip_longest
from statistics import fmean
from typing import Any, ClassVar

from datasets import List, Value

from ptbench.errors import DataError
from ptbench.metrics.base import Metric


class TextMetric(Metric):
    """A prediction is one text; a reference is the list of texts written for its source."""

    prediction: ClassVar[Any] = Value("string")
    reference: ClassVar[Any] = List(Value("string"))

    def answer(self, reference: list[str]) -> str:
        return reference[0]


class Sacrebleu(TextMetric):
    """A corpus score of sacrebleu (Post 2018), divided by 100."""

    key: ClassVar[str]

    @abstractmethod
    def scorer(self) -> Any:
        """The metric of sacrebleu."""

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        if not all(references):
            raise DataError(f"row {references.index([]) + 1} has no text to compare with; drop it")
        streams = list(zip_longest(*references))  # None where a source has fewer texts than others
        return {self.key: self.scorer().corpus_score(predictions, streams).score / 100}


class BLEU(Sacrebleu):
    """BLEU-4 on the tokens of mteval-v13a, case and all."""

    key: ClassVar[str] = "bleu"

    def scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU as Scorer

        return Scorer(force=True)  # texts that look tokenised are scored without a warning


class UncasedBLEU(BLEU):
    """BLEU-4 in lower case: mteval-v13a's own, which E2E's official script runs."""

    key: ClassVar[str] = "bleu_uncased"

    def scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU as Scorer

        return Scorer(force=True, lowercase=True)


class ChrF(Sacrebleu):
    """chrF2: F2 of character 1- to 6-grams (Popović 2015)."""

    key: ClassVar[str] = "chrf"

    def scorer(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()


class TER(Sacrebleu):
    """Translation edit rate in lower case (Snover et al. 2006): 0 is best, it may pass 1."""

    key: ClassVar[str] = "ter"

    def scorer(self) -> Any:
        from sacrebleu.metrics.ter import TER as Scorer

        return Scorer()


class NIST(TextMetric):
    """NIST-5 as mteval-v13a counts it, in lower case: 0 or more, with no upper bound.

    Doddington 2002, equation 3. Where sources differ in their number of texts, the length is
    that of the mean text of each source, as in E2E's official script.
    """

    order: ClassVar[int] = 5

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

        cut = Tokenizer13a()
        found = [cut(text.lower()).split() for text in predictions]
        gold = [[cut(text.lower()).split() for text in texts] for texts in references]
        counts = Counter(gram for texts in gold for text in texts for gram in self._grams(text))
        counts[()] = sum(len(text) for texts in gold for text in texts)
        gains, totals = [0.0] * self.order, [0] * self.order
        for text, texts in zip(found, gold, strict=True):
            clipped: Counter[tuple[str, ...]] = Counter()
            for other in texts:
                clipped |= Counter(self._grams(other))
            for gram, hits in (Counter(self._grams(text)) & clipped).items():
                gains[len(gram) - 1] += hits * math.log2(counts[gram[:-1]] / counts[gram])
            totals = [total + max(len(text) - n, 0) for n, total in enumerate(totals)]
        length = sum(fmean(len(text) for text in texts) for texts in gold)
        precision = sum(gain / max(total, 1) for gain, total in zip(gains, totals, strict=True))
        return {"nist": precision * _brevity(totals[0] / length if length else 0.0)}

    def _grams(self, text: list[str]) -> list[tuple[str, ...]]:
        orders = range(1, self.order + 1)
        return [tuple(text[i : i + n]) for n in orders for i in range(len(text) - n + 1)]


class ROUGE(TextMetric):
    """F of ROUGE-1, -2 and -L on stemmed words (Lin 2004), the best of a source's texts."""

    names: ClassVar[tuple[str, ...]] = ("rouge1", "rouge2", "rougeL")
    tokenizer: ClassVar[Any] = None  # the package's own, which keeps only a-z and 0-9

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(self.names, use_stemmer=True, tokenizer=self.tokenizer)
        pairs = zip(predictions, references, strict=True)
        rows = [scorer.score_multi(gold, found) for found, gold in pairs]
        return {name: fmean(float(row[name].fmeasure) for row in rows) for name in self.names}


class _Characters:
    """A tokenizer for ROUGE that cuts everywhere."""

    def tokenize(self, text: str) -> list[str]:
        return [character for character in text if not character.isspace()]


class CharacterROUGE(ROUGE):
    """ROUGE on characters, for Chinese. ChatGLM's figures are on the words that jieba cuts."""

    tokenizer: ClassVar[Any] = _Characters()


class CharacterBLEU(TextMetric):
    """Mean BLEU-4 of texts on characters with NLTK's smoothing 3, as ChatGLM scores ADGEN."""

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

        smooth = SmoothingFunction().method3
        rows = [
            sentence_bleu([list(text) for text in gold], list(found), smoothing_function=smooth)
            for found, gold in zip(predictions, references, strict=True)
        ]
        return {"bleu_characters": fmean(float(row) for row in rows)}  # pyright: ignore[reportArgumentType]


class StemMETEOR(TextMetric):
    """METEOR of NLTK without synonyms, on mteval-v13a's tokens: the mean of the sources' best.

    Lavie & Agarwal 2007 with the stages "exact" and "stem" (Porter's); the third looks synonyms up
    in WordNet, which would have to be fetched. METEOR 1.5, which papers report, weighs words and
    has paraphrases too: the figures do not compare.
    """

    def scores(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        from nltk.translate.meteor_score import meteor_score
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

        cut, none = Tokenizer13a(), _NoSynonyms()
        rows = [
            meteor_score([cut(text).split() for text in gold], cut(found).split(), wordnet=none)  # pyright: ignore[reportArgumentType]
            for found, gold in zip(predictions, references, strict=True)
        ]
        return {"meteor_stem": fmean(rows)}


class _NoSynonyms:
    """A WordNet that knows no word."""

    def synsets(self, word: str) -> tuple[()]:
        return ()


def _brevity(ratio: float) -> float:
    """1/2 at 2/3 of the length, 1 from the whole length on."""
    if not 0 < ratio < 1:
        return min(ratio, 1.0)
    return 0.5 ** (math.log(ratio) / math.log(2 / 3)) ** 2
