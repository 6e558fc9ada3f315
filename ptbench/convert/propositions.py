"""Propositions of PropBank, one a line: the predicate's place, the words, their tags."""

from collections.abc import Iterable, Iterator

from ptbench.convert.conll import iob2
from ptbench.errors import DataError
from ptbench.files import Row

BAR = "|||"


def roles(lines: Iterable[str]) -> Iterator[Row]:
    """Lines such as `1 Birds sing ||| B-A0 B-V`, with the words counted from 0."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        before, bar, after = line.partition(BAR)
        place, *words = before.split() or [""]
        tags = after.split()
        if not bar or not place.isdigit() or len(words) != len(tags):
            raise DataError(
                f"line {number}: not `index words {BAR} tags` with a tag for each word "
                f"(index '{place}', {len(words)} words, {len(tags)} tags); mend the line"
            )
        if int(place) >= len(words):
            raise DataError(
                f"line {number}: the predicate is word {place}, but the last is {len(words) - 1}; "
                "words count from 0"
            )
        yield {
            "tokens": words,
            "predicate_index": int(place),
            "predicate": words[int(place)],
            "srl_tags": iob2(tags, [number] * len(tags)),
        }
