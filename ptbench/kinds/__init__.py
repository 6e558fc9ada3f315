"""Kinds of task: each says how examples are encoded, what head reads them, how they are scored."""

from ptbench.kinds.base import Example, Features, Head, Kind
from ptbench.kinds.classification import Classification
from ptbench.kinds.cloze import Cloze
from ptbench.kinds.fact import Fact
from ptbench.kinds.generation import Generation
from ptbench.kinds.labelling import Labelling, Roles, bio
from ptbench.kinds.multi import Multi

__all__ = [
    "Classification",
    "Cloze",
    "Example",
    "Fact",
    "Features",
    "Generation",
    "Head",
    "Kind",
    "Labelling",
    "Multi",
    "Roles",
    "bio",
]
