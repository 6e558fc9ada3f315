"""Opinions with negation and contrast, which the words alone do not decide: 0 bad, 1 good."""

import re
from random import Random
from typing import Any

from tasks.pocket.grammar import SLOT, distinct, fresh, section

NAME = "sentiment"
LABELS = ("negative", "positive")
OPPOSITE = {"good": "bad", "bad": "good"}
A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou])")


def sentences(split: str, rows: int, seed: int) -> list[dict[str, Any]]:
    """Different sentences with their labels, which alternate; the same for the same arguments."""
    words = section(NAME, split)
    random = Random(f"{NAME} {split} {seed}")
    return distinct(rows, lambda index: _example(words, random, index % 2), "sentence")


def _example(words: dict[str, Any], random: Random, label: int) -> dict[str, Any]:
    opinions = words["opinions"]
    setting = words["settings"][random.choice(list(words["settings"]))]
    used: set[str] = set()

    def word(slot: re.Match[str]) -> str:
        key, _, kind = slot[1].rpartition(".")
        if not key:
            return fresh(random, setting[kind], used)
        # Templates are written in their positive reading; the negative one swaps good and bad.
        value = key if label else OPPOSITE[key]
        return fresh(random, (opinions | setting)[kind][value], used)

    text = SLOT.sub(word, _template(words, random))
    text = A_BEFORE_VOWEL.sub(r"\1n ", text)
    return {"sentence": text[0].upper() + text[1:], "label": label}


def _template(words: dict[str, Any], random: Random) -> str:
    (kind,) = random.choices(list(words["shares"]), list(words["shares"].values()))
    return random.choice(words["templates"][kind])
