"""What makes a prompt's rows: a table, an MLP over a table, or an LSTM and MLP over a table."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ptbench.errors import ConfigError


class Encoder(nn.Module, ABC):
    """Gives the rows of a prompt, all of them, the same for every example."""

    def __init__(self, length: int, width: int):
        super().__init__()
        if length < 1:
            raise ConfigError(f"the prompt has {length} pseudo tokens: it needs 1 or more")
        self.length, self.width = length, width
        self.title = type(self).__name__  # in records

    @abstractmethod
    def forward(self) -> Float[Tensor, "length width"]: ...

    def fit(self, rows: Float[Tensor, "length width"]) -> None:
        """Comes near to `rows`, as prefix-tuning's authors do from real words' activations.

        500 steps of Adam at 1e-4 on the mean squared error move all but the table within.
        """
        moving = [p for name, p in self.named_parameters() if not name.startswith("embedding.")]
        adam = torch.optim.Adam(moving, lr=1e-4)
        for _ in range(500):
            adam.zero_grad()
            F.mse_loss(self(), rows).backward()
            adam.step()
        self.zero_grad()

    def folded(self) -> "Table":
        """A table of the rows as they are now: all that use of the prompt needs."""
        with torch.device("meta"):  # draws no random numbers, so that training goes on as it would
            table = Table(self.length, self.width)
        with torch.no_grad():  # as in evaluation: with gradients an LSTM's last bits are others
            table.embedding.weight = nn.Parameter(self().clone())
        return table


def _draw(encoder: Encoder, std: float | None) -> None:
    """All weights anew from N(0, std), with zero biases; null leaves them as torch starts them."""
    if std is None:
        return
    for name, parameter in encoder.named_parameters():
        nn.init.normal_(parameter, std=0.0 if "bias" in name else std)


class Table(Encoder):
    """Free rows, drawn from N(0, std); null: from N(0, 1), as torch does."""

    def __init__(self, length: int, width: int, std: float | None = 0.02):
        super().__init__(length, width)
        self.embedding = nn.Embedding(length, width)
        _draw(self, std)

    def fit(self, rows: Float[Tensor, "length width"]) -> None:
        """Takes the rows as they are."""
        with torch.no_grad():
            self.embedding.weight.copy_(rows)

    def forward(self) -> Float[Tensor, "length width"]:
        return self.embedding.weight


class Joined(Encoder):
    """Encoders side by side: prefix-tuning has one of its own for each site of attention."""

    def __init__(self, parts: Sequence[Encoder]):
        super().__init__(parts[0].length, sum(part.width for part in parts))
        self.parts = nn.ModuleList(parts)
        self.title = parts[0].title

    def fit(self, rows: Float[Tensor, "length width"]) -> None:
        """Each part comes near to its own."""
        parts: Any = self.parts
        for part, own in zip(parts, rows.split([p.width for p in parts], -1), strict=True):
            part.fit(own)

    def forward(self) -> Float[Tensor, "length width"]:
        return torch.cat([part() for part in self.parts], -1)


def joined(make: Callable[[int], Encoder], widths: Sequence[int]) -> Encoder:
    """An encoder for each width, side by side; just the one where there is one width."""
    parts = [make(width) for width in widths]
    return parts[0] if len(parts) == 1 else Joined(parts)


class MLP(Encoder):
    """Linear, activation, linear over a table of rows.

    With tanh, prefix-tuning's P' -> P (Li & Liang 2021, section 4.3); with ReLU, P-tuning v1's
    variant without the LSTM. `std` draws all weights from N(0, std) with zero biases; null starts
    them as torch does, rows from N(0, 1).
    """

    def __init__(
        self,
        length: int,
        inner: int,
        hidden: int,
        width: int,
        activation: nn.Module,
        std: float | None = None,
    ):
        super().__init__(length, width)
        self.embedding = nn.Embedding(length, inner)
        self.layers = nn.Sequential(nn.Linear(inner, hidden), activation, nn.Linear(hidden, width))
        _draw(self, std)

    def forward(self) -> Float[Tensor, "length width"]:
        return self.layers(self.embedding.weight)


class LSTM(Encoder):
    """Two-layer bidirectional LSTM, then linear, ReLU, linear (Liu et al. 2021, equation 4).

    `hidden` is the size of one direction: half the width in the authors' LAMA code, the whole
    width in their few-shot code. `std` as of MLP.
    """

    def __init__(self, length: int, width: int, hidden: int, std: float | None = None):
        super().__init__(length, width)
        self.embedding = nn.Embedding(length, width)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(2 * hidden, width), nn.ReLU(), nn.Linear(width, width))
        _draw(self, std)

    def forward(self) -> Float[Tensor, "length width"]:
        rows = self.embedding.weight[None]
        with torch.autocast(rows.device.type, enabled=False):  # many CPUs have no LSTM in bf16
            return self.mlp(self.lstm(rows)[0])[0]
