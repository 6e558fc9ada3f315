"""Our dropout on a CPU over torch's own: on hidden states, in attention, and in a whole step.

Forward and backward, in turns, of a random BERT-base's sizes: 8 rows of 64, a prompt of 20.

    python benchmarks/dropout.py [--threads 1] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from measure import in_turns, keep, ratio
from steps import adapted, bert, job_of, steps_of
from torch import Tensor

from ptbench import attention
from ptbench import dropout as quick

ROWS, TOKENS, PROMPT, WIDTH, LAYERS, HEADS, SHARE = 8, 64, 20, 768, 12, 12, 0.1
Way = Callable[[Tensor, float], AbstractContextManager[Any]]


def plainly(query: Tensor, share: float) -> AbstractContextManager[Any]:
    """Leaves attention to torch."""
    return nullcontext()


def timed(action: Callable[[], Tensor], times: int = 20) -> Callable[[], float]:
    """The median second of its forward and backward pass."""

    def once() -> float:
        marks = [time.perf_counter()]
        for _ in range(times):
            action().sum().backward()
            marks.append(time.perf_counter())
        return statistics.median(two - one for one, two in pairwise(marks))

    return once


def attending(way: Way) -> Callable[[], Tensor]:
    """Attention with dropout, a mask and a prefix."""
    shapes = (TOKENS, PROMPT + TOKENS, PROMPT + TOKENS)
    query, key, value = (
        torch.randn(ROWS, HEADS, length, WIDTH // HEADS, requires_grad=True) for length in shapes
    )
    mask = torch.ones(ROWS, 1, TOKENS, PROMPT + TOKENS, dtype=torch.bool)

    def attend() -> Tensor:
        with way(query, SHARE):
            # as transformers calls it
            how: dict[str, Any] = {"dropout_p": SHARE, "scale": None, "is_causal": False}
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, **how)

    return attend


def step(way: Way, drop: Callable[[Tensor, float], Tensor]) -> Callable[[], float]:
    """A step of P-tuning v2."""
    backbone = bert(WIDTH, LAYERS)

    def once() -> float:
        made, training = adapted("ptuning_v2", backbone, PROMPT)
        attends = mock.patch.object(attention, "quick_attention", way)
        with attends, mock.patch.object(quick, "dropout", drop):
            return steps_of(job_of(made, training, ROWS, TOKENS, 3), 1)[0]

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for key, value in {"threads": 1, "rounds": 5}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    states = torch.randn(ROWS, TOKENS, WIDTH, requires_grad=True)
    pairs = {
        "hidden states": (
            timed(lambda: quick.dropout(states, SHARE)),
            timed(lambda: F.dropout(states, SHARE)),
        ),
        "attention": (timed(attending(quick.quick_attention)), timed(attending(plainly))),
        "a step of P-tuning v2": (
            step(quick.quick_attention, quick.dropout),
            step(plainly, F.dropout),
        ),
    }
    results = {}
    for name, (ours, own) in pairs.items():
        seconds = in_turns({"ours": ours, "torch's": own}, settings.rounds)
        results[name] = {
            "seconds": {way: round(statistics.median(all_), 5) for way, all_ in seconds.items()},
            "ours over torch's": ratio(seconds["ours"], seconds["torch's"]),
        }
    keep("dropout", "python benchmarks/dropout.py", vars(settings), results)


if __name__ == "__main__":
    main()
