"""Random numbers of a job's own, so that jobs side by side draw what each would draw alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Draws:
    """A stream that goes on from torch's state when it was made, on the CPU and on the device."""

    def __init__(self, device: torch.device):
        self.device = device
        self.state = self._now()

    @contextmanager
    def own(self) -> Iterator[None]:
        """Draws from this stream; torch's own stays where it was."""
        outside = self._now()
        self._set(self.state)
        try:
            yield
        finally:
            self.state = self._now()
            self._set(outside)

    def resume(self) -> None:
        """Has torch itself go on from here."""
        self._set(self.state)

    def _now(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)
