"""Patterns of text, pseudo tokens, anchors and a mask.

A pattern is a line such as `{premise} [SEP] {hypothesis} ? [P] answer : [MASK]`: fields of the
example in braces, `[P]` for pseudo tokens, `[MASK]` for the answer, `[SEP]` between two segments;
all other words are anchors.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ptbench.errors import ConfigError

_PARTS = re.compile(r"(\[P\]|\[MASK\]|\[SEP\]|\{\w+\})")
Slots = int | tuple[int, ...]  # pseudo tokens for each [P]: the same number, or one each


@dataclass(frozen=True)
class Part:
    """One piece of a pattern; `spaced` says that a space stands before it."""

    role: Literal["field", "anchor", "slot", "mask"]
    text: str
    spaced: bool


@dataclass(frozen=True)
class Template:
    """A parsed pattern: parts in one or two segments, `front` pseudo tokens before all of it."""

    segments: tuple[tuple[Part, ...], ...]
    front: int = 0
    slots: tuple[int, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The example's fields, in the order in which they stand."""
        return tuple(p.text for s in self.segments for p in s if p.role == "field")

    @property
    def pseudo_tokens(self) -> int:
        return self.front + sum(self.slots)


def parse(pattern: str, front: int = 0, slots: Slots = 1) -> Template:
    """Reads a pattern; each `[P]` stands for `slots` pseudo tokens, or each for its own number.

    Raises ConfigError where there are not as many numbers as `[P]`.
    """
    segments: list[list[Part]] = [[]]
    roles: dict[str, Literal["slot", "mask"]] = {"[P]": "slot", "[MASK]": "mask"}
    spaced = False
    for text in _PARTS.split(pattern):
        if text == "[SEP]":
            segments.append([])
            spaced = False
            continue
        if text in roles:
            segments[-1].append(Part(roles[text], "", spaced))
        elif _PARTS.fullmatch(text):
            segments[-1].append(Part("field", text[1:-1], spaced))
        elif text.strip():
            segments[-1].append(Part("anchor", text.strip(), spaced or text[0].isspace()))
        spaced = bool(segments[-1]) and (text in roles or text[-1:].isspace())
    count = sum(part.role == "slot" for segment in segments for part in segment)
    lengths = (slots,) * count if isinstance(slots, int) else tuple(slots)
    if len(lengths) != count:
        raise ConfigError(
            f"method.template={list(lengths)} has {len(lengths)} numbers of pseudo tokens, and the "
            f"task's pattern {count} places for them ({pattern}); give one for each [P]"
        )
    return Template(tuple(map(tuple, segments)), front, lengths)
