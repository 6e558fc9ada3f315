"""Sentences drawn from templates with {slots}; words and templates are in the YAML files here."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

SLOT = re.compile(r"\{(\w+(?:\.\w+)?)\}")
TRIES_PER_ROW = 50


@cache
def section(name: str, split: str) -> dict[str, Any]:
    """The words and templates of one split, from <name>.yaml."""
    splits = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    if split not in splits:
        raise ValueError(f"split {split!r} is not in {name}.yaml; it has {', '.join(splits)}")
    return splits[split]


def fresh(random: Random, options: Sequence[str], used: set[str]) -> str:
    """One of the options that is not used yet, which it then is."""
    choice = random.choice([option for option in options if option not in used])
    used.add(choice)
    return choice


def distinct(rows: int, draw: Callable[[int], dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """That many examples from draw(index), no two of which agree in the field text."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(TRIES_PER_ROW * rows):
        if len(found) == rows:
            break
        example = draw(len(found))
        found.setdefault(str(example[text]), example)
    if len(found) < rows:
        raise ValueError(f"only {len(found)} of {rows} sentences found; ask for fewer rows")
    return list(found.values())
