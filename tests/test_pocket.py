"""The made-up sentences: same arguments, same data; no listed word or template in two splits."""

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations

import pytest

from tasks.pocket import entities, sentiment
from tasks.pocket.grammar import section

SIZES = {"train": 1000, "validation": 500, "test": 500}
MODULES = (sentiment, entities)
MANY_AMBIGUOUS = 12


@cache
def full(sentences, split):
    """A whole split at its usual size."""
    return sentences(split, SIZES[split], 0)


def leaves(node) -> list[str]:
    """All the texts of a tree of dictionaries and lists."""
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node
    return [text for child in children for text in leaves(child)]


def entries(module, split) -> dict[str, list[str]]:
    """Names, content words and templates listed for a split, in small letters; no slots."""
    listed = section(module.NAME, split)
    words = [listed[part] for part in ("settings", "opinions", "kinds", "parts") if part in listed]
    texts = {text.lower() for text in leaves(words) if "{" not in text}
    forms = " ".join(text for text in leaves(words) if "{" in text).lower()
    affixes = {*re.sub(r"\{\w+\}", "", forms).split()} - {"of"}
    return {"words": sorted(texts | affixes), "templates": leaves(listed["templates"])}


def rendered(module, split) -> str:
    """All sentences of a split as one text of small letters."""
    rows = full(module.sentences, split)
    return "\n".join(r.get("sentence") or " ".join(r["tokens"]) for r in rows).lower()


def roles(split) -> dict[str, set[str]]:
    """What each name or ordinary word is on its own: PER, LOC, ORG or O."""
    seen = defaultdict(set)
    for row in full(entities.sentences, split):
        labels = [entities.LABELS[tag] for tag in row["ner_tags"]] + ["O"]
        for word, label, following in zip(row["tokens"], labels, labels[1:], strict=False):
            if not label.startswith("I-") and not following.startswith("I-"):
                seen[word.lower()].add(label.removeprefix("B-"))
    return seen


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("split", SIZES)
def test_the_arguments_decide_the_sentences(module, split):
    rows = module.sentences(split, 50, 3)
    assert rows == module.sentences(split, 50, 3)
    assert rows == module.sentences(split, 80, 3)[:50]
    assert rows != module.sentences(split, 50, 4)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("split", SIZES)
def test_no_sentence_comes_twice_and_none_is_short_or_long(module, split):
    texts = rendered(module, split).split("\n")
    assert len(set(texts)) == SIZES[split]
    assert all(5 <= len(text.split()) <= 27 and "{" not in text for text in texts)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("pair", list(combinations(SIZES, 2)), ids="-".join)
def test_splits_share_no_listed_word_and_no_template(module, pair):
    one, other = (entries(module, split) for split in pair)
    assert not set(one["words"]) & set(other["words"])
    assert not set(one["templates"]) & set(other["templates"])
    assert min(len(one["templates"]), len(other["templates"])) >= 20


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("pair", [("train", "test"), ("train", "validation"), ("test", "train")])
def test_no_listed_word_of_a_split_is_in_a_sentence_of_another(module, pair):
    listed, text = entries(module, pair[0])["words"], rendered(module, pair[1])
    assert not re.findall(rf"\b(?:{'|'.join(map(re.escape, listed))})\b", text)


@pytest.mark.parametrize("split", SIZES)
def test_opinions_are_balanced(split):
    labels = Counter(row["label"] for row in full(sentiment.sentences, split))
    assert labels == {0: SIZES[split] // 2, 1: SIZES[split] // 2}


@pytest.mark.parametrize("split", SIZES)
def test_every_name_begins_with_b(split):
    for row in full(entities.sentences, split):
        labels = [entities.LABELS[tag] for tag in row["ner_tags"]]
        assert len(labels) == len(row["tokens"])
        for before, label in zip(["O", *labels], labels, strict=False):
            if label.startswith("I-"):
                assert before in (label, label.replace("I-", "B-")), row


@pytest.mark.parametrize("split", SIZES)
def test_ambiguous_names_play_several_roles(split):
    parts = section("entities", split)["parts"]
    people = {*parts["first"], *parts["last"]}
    others = ["town", "brand", "club"]
    ambiguous = {name for part in others for name in parts[part] if name in people}
    ambiguous |= set(parts["town"]) & {*parts["brand"], *parts["club"]}
    assert len(ambiguous) >= MANY_AMBIGUOUS
    seen = roles(split)
    assert [name for name in ambiguous if len(seen[name.lower()]) < 2] == []
    ordinary = [word for word in seen if "O" in seen[word] and len(seen[word]) > 1]
    assert len(ordinary) >= 4


def test_an_unknown_split_or_too_many_rows_are_refused():
    with pytest.raises(ValueError, match="train, validation, test"):
        section("entities", "dev")
    with pytest.raises(ValueError, match="fewer rows"):
        sentiment.distinct(2, lambda _: {"sentence": "Yes."}, "sentence")
