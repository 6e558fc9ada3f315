"""How the text and pseudo tokens of a pattern become token ids.

Fields are cut at their ends when the whole is too long, nothing else.
"""

from array import array
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase

from ptbench.errors import BackboneError, DataError
from ptbench.patterns import Part, Template

Pieces = list[int]


@dataclass
class Encoded:
    """Token ids of one row, with the places of its fields' pieces.

    `characters` are those that the pieces of one field cover, where a kind asks for them.
    """

    ids: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    answer: int = -1
    places: dict[str, list[int]] = field(default_factory=dict)
    characters: list[tuple[int, int]] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        """All that a backbone and a head see of the row, to tell it from others."""
        return array("q", [*self.ids, *self.types, *self.slots, self.answer]).tobytes()

    def add(self, ids: Sequence[int], kind: int, first_slot: int = -1) -> None:
        """Appends ids of one token type; from `first_slot` on they are numbered pseudo tokens."""
        self.ids += ids
        self.types += [kind] * len(ids)
        self.slots += (
            range(first_slot, first_slot + len(ids)) if first_slot >= 0 else [-1] * len(ids)
        )


def _first(*ids: Any) -> int:
    return next((token for token in ids if isinstance(token, int)), 0)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds without the white space at their ends, which some tokenizers count in."""
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())


class Encoder:
    """Lays examples out for one tokenizer: its special tokens, its spaces, its token types.

    `begin` and `end` stand around a text that is written; `two_stacks` says that an
    encoder-decoder writes it.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, two_stacks: bool = False
    ):
        self.tokenizer, self.max_length, self.two_stacks = tokenizer, max_length, two_stacks
        self.mask: int = tokenizer.mask_token_id  # pyright: ignore[reportAttributeAccessIssue]
        # decoders lack some; their places are masked, or filled with a prompt's rows
        spare = _first(tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
        self.pad, self.unknown = spare, _first(tokenizer.unk_token_id, spare)
        self.begin = _first(tokenizer.bos_token_id, tokenizer.eos_token_id, spare)
        self.end = _first(tokenizer.eos_token_id, tokenizer.sep_token_id, spare)
        self._spaces = self._ids("a") != self._ids(" a")
        self._words: dict[str, Pieces] = {}

    def _ids(self, text: str) -> Pieces:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]  # pyright: ignore

    @cached_property
    def frames(self) -> dict[int, tuple[list[Pieces], list[int]]]:
        """Special tokens around one and two segments, and each segment's token type."""
        one, two = self.tokenizer("a"), self.tokenizer("a", "a")
        letter = self._ids("a")[0]
        frames = {}
        for encoding in (one, two):
            ids: Pieces = encoding["input_ids"]  # pyright: ignore[reportAssignmentType]
            places = [i for i, token in enumerate(ids) if token == letter]
            bounds = [-1, *places, len(ids)]
            frame = [ids[a + 1 : b] for a, b in pairwise(bounds)]
            types = encoding.get("token_type_ids") or [0] * len(ids)
            frames[len(places)] = (frame, [types[place] for place in places])
        return frames

    def pieces(self, text: str, spaced: bool) -> Pieces:
        """Ids of a piece of text; byte-level tokenizers see the space before it."""
        return self._ids(" " + text if spaced and self._spaces else text)

    def word(self, word: str) -> Pieces:
        """Ids of one word of a sentence given in words; never empty, so that labels keep places."""
        if word not in self._words:
            self._words[word] = self.pieces(word, spaced=True) or [self.unknown]
        return self._words[word]

    def within(self, max_length: int) -> "Encoder":
        """The same layout for examples of at most so many pieces."""
        found = copy(self)
        found.max_length = min(max_length, self.max_length)
        return found

    def located(
        self, template: Template, name: str, text: str
    ) -> tuple[Pieces, list[tuple[int, int]]]:
        """Ids of a text as the template's field, and which characters of it each covers.

        Raises BackboneError where the tokenizer does not tell.
        """
        if not self.tokenizer.is_fast:
            raise BackboneError(
                f"{type(self.tokenizer).__name__} does not tell which characters a token covers; "
                "give a model whose folder holds a tokenizer.json"
            )
        parts = [pair for segment in self._spaced(template) for pair in segment]
        spaced = next(s for part, s in parts if (part.role, part.text) == ("field", name))
        before = " " if spaced and self._spaces else ""
        found: Any = self.tokenizer(
            before + text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        bounds = [(max(a - len(before), 0), b - len(before)) for a, b in found["offset_mapping"]]
        return found["input_ids"], [_trimmed(text, *both) for both in bounds]

    @cached_property
    def closing(self) -> Pieces:
        """The token to put behind a text, where the tokenizer's own layout ends with none."""
        last: Any = _first(self.tokenizer.eos_token_id, self.tokenizer.sep_token_id, self.pad)
        return [] if self.frames[1][0][-1] else [last]

    def room(self, template: Template) -> int:
        """How many pieces of text fit in beside the pattern's own tokens."""
        fixed = len(self.lay_out(template, {name: [] for name in template.fields}).ids)
        return self.max_length + template.pseudo_tokens - fixed

    def check_template(self, template: Template) -> None:
        """Raises DataError where the pattern alone leaves no room for text."""
        if (room := self.room(template)) <= 0:
            raise DataError(
                f"task.max_length={self.max_length} leaves no room for text: the pattern's own "
                f"tokens are {self.max_length - room}; raise task.max_length"
            )

    def lay_out(self, template: Template, fields: Mapping[str, str | Pieces]) -> Encoded:
        """One example as ids: at most `max_length` of them, pseudo tokens not counted."""
        frame, types = self.frames[len(template.segments)]
        segments = [
            [(part, self._part(part, fields, spaced)) for part, spaced in segment]
            for segment in self._spaced(template)
        ]
        used = sum(map(len, frame))
        used += sum(len(ids) for s in segments for part, ids in s if part.role != "slot")
        shortenable = [ids for s in segments for part, ids in s if part.role == "field"]
        self._cut(shortenable, used - self.max_length)

        encoded = Encoded()
        placeholder = [self.unknown]
        encoded.add(placeholder * template.front, types[0], 0)
        encoded.add(frame[0], types[0])
        slot, lengths = template.front, iter(template.slots)
        for segment, kind, after in zip(segments, types, frame[1:], strict=True):
            for part, ids in segment:
                if part.role == "slot":
                    length = next(lengths)
                    encoded.add(placeholder * length, kind, slot)
                    slot += length
                    continue
                if part.role == "mask":
                    encoded.answer = len(encoded.ids)
                if part.role == "field":
                    start = len(encoded.ids)
                    encoded.places[part.text] = list(range(start, start + len(ids)))
                encoded.add(ids, kind)
            encoded.add(after, kind)
        return encoded

    def _spaced(self, template: Template) -> list[list[tuple[Part, bool]]]:
        """Each segment's parts, and whether a space stands before them."""
        frame, _ = self.frames[len(template.segments)]
        return [
            [
                # where no special token divides two segments, a space does
                (part, part.spaced or (not place and bool(number) and not before))
                for place, part in enumerate(segment)
            ]
            for number, (segment, before) in enumerate(zip(template.segments, frame, strict=False))
        ]

    def _part(self, part: Part, fields: Mapping[str, str | Pieces], spaced: bool) -> Pieces:
        if part.role == "field":
            value = fields[part.text]
            return self.pieces(value, spaced) if isinstance(value, str) else list(value)
        if part.role == "anchor":
            return self.pieces(part.text, spaced)
        return [self.mask] if part.role == "mask" else []

    @staticmethod
    def _cut(texts: list[Pieces], excess: int) -> None:
        texts = sorted(texts, key=len)  # of equals tokenizers cut the one that was shorter
        for _ in range(excess):
            longest = max(texts, key=len, default=[])
            if not longest:
                return
            longest.pop()
