"""What trained models answer, where models of one backbone share its passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch

from ptbench.batches import by_length
from ptbench.kinds import Features
from ptbench.method import Adapted, respond
from ptbench.templates import Encoder


@dataclass(frozen=True)
class Asked:
    """Encoded examples that a model is to answer, so many at a time."""

    model: Adapted
    encoder: Encoder
    features: Sequence[Features]
    batch_size: int


@torch.no_grad()
def answer(asked: Sequence[Asked]) -> list[list[Any]]:
    """Predictions in the order of each one's features, made in batches of like length.

    The models are of one backbone, and a batch of each passes through it with the others'.
    """
    found: list[list[Any]] = [[None] * len(one.features) for one in asked]
    for one in asked:
        one.model.eval()
    for turn in zip_longest(*(by_length(one.features, one.batch_size) for one in asked)):
        there = [
            (one, at, places) for one, at, places in zip(asked, found, turn, strict=True) if places
        ]
        batches = []
        for one, _, places in there:
            some = [one.features[place] for place in places]
            device = next(one.model.parameters()).device
            batches.append(one.model.kind.collate(some, one.encoder).to(device))
        said = respond([one.model for one, *_ in there], batches)
        for (_, at, places), predictions in zip(there, said, strict=True):
            for place, prediction in zip(places, predictions, strict=True):
                at[place] = prediction
    return found


def predict(
    model: Adapted, encoder: Encoder, features: Sequence[Features], batch_size: int
) -> list[Any]:
    """Predictions of one model."""
    return answer([Asked(model, encoder, features, batch_size)])[0]
