"""Names of people, places and organisations, many of which only the context tells apart."""

from random import Random
from typing import Any

from tasks.pocket.grammar import SLOT, distinct, fresh, section

NAME = "entities"
LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")


def sentences(split: str, rows: int, seed: int) -> list[dict[str, Any]]:
    """Different sentences as words with their label indices; the same for the same arguments."""
    words = section(NAME, split)
    random = Random(f"{NAME} {split} {seed}")
    return distinct(rows, lambda _: _example(words, random), "tokens")


def _example(words: dict[str, Any], random: Random) -> dict[str, Any]:
    kinds = {kind: entity for entity, kinds in words["kinds"].items() for kind in kinds}
    used: set[str] = set()
    tokens: list[str] = []
    tags: list[int] = []
    for piece in random.choice(words["templates"]).split():
        slot = SLOT.fullmatch(piece)
        entity = kinds[slot[1]] if slot else "O"
        form = random.choice(words["kinds"][entity][slot[1]]) if slot else piece
        name = SLOT.sub(lambda part: fresh(random, words["parts"][part[1]], used), form).split()
        tokens += name
        tags += _tags(entity, len(name))
    tokens[0] = tokens[0][0].upper() + tokens[0][1:]
    return {"tokens": tokens, "ner_tags": tags}


def _tags(entity: str, length: int) -> list[int]:
    """Label indices of a name of that many words: B- first, I- after it."""
    if entity == "O":
        return [LABELS.index("O")] * length
    return [LABELS.index(f"B-{entity}")] + [LABELS.index(f"I-{entity}")] * (length - 1)
