"""Which examples pass together: those of one data set, of like length."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import BatchSampler, Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

from ptbench.kinds import Features


class Shuffled(Sampler[list[int]]):
    """The places of an epoch's batches in an order that the seed decides.

    Data sets take turns at random, each as often as it has batches, so that an epoch passes every
    row of all of them once (the merged training sets of multi-task P-tuning v2).
    """

    def __init__(self, features: Sequence[Features], size: int, seed: int):
        order = torch.Generator().manual_seed(seed)
        self.turns = torch.Generator().manual_seed(seed)
        self.groups = grouped(features)
        self.samplers = [
            BatchSampler(
                LengthGroupedSampler(
                    size, lengths=[len(features[place]) for place in group], generator=order
                ),
                size,
                drop_last=False,
            )
            for group in self.groups
        ]

    def __iter__(self) -> Iterator[list[int]]:
        batches = [iter(sampler) for sampler in self.samplers]
        turns = torch.tensor([n for n, s in enumerate(self.samplers) for _ in range(len(s))])
        for turn in turns[torch.randperm(len(turns), generator=self.turns)].tolist():
            yield [self.groups[turn][place] for place in next(batches[turn])]

    def __len__(self) -> int:
        return sum(map(len, self.samplers))


def by_length(features: Sequence[Features], size: int) -> Iterator[list[int]]:
    """The places of batches for prediction, from the shortest on."""
    for group in grouped(features):
        order = sorted(group, key=lambda place: len(features[place]))
        yield from (order[start : start + size] for start in range(0, len(order), size))


def grouped(features: Sequence[Features]) -> list[list[int]]:
    """The places of each data set's examples, in their order."""
    groups: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(features):
        groups[one.part].append(place)
    return list(groups.values())
