"""Kinds of task: each says how examples are encoded, what head reads them, how they are scored."""

from ptbench.kinds.base import Example, Features, Kind
from ptbench.kinds.choice import Candidates, Choice
from ptbench.kinds.classification import Classification, Grouped
from ptbench.kinds.cloze import Cloze
from ptbench.kinds.fact import Fact
from ptbench.kinds.generation import Generation
from ptbench.kinds.heads import Head
from ptbench.kinds.labelling import Labelling, Roles, bio
from ptbench.kinds.masks import MaskedChoice, MaskedNoun
from ptbench.kinds.multi import Multi
from ptbench.kinds.regression import Regression
from ptbench.kinds.span import Span

__all__ = [
    "Candidates",
    "Choice",
    "Classification",
    "Cloze",
    "Example",
    "Fact",
    "Features",
    "Generation",
    "Grouped",
    "Head",
    "Kind",
    "Labelling",
    "MaskedChoice",
    "MaskedNoun",
    "Multi",
    "Regression",
    "Roles",
    "Span",
    "bio",
]
