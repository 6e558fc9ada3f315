"""What is read of rows and never changes, kept from the first pass on."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ptbench.inputs import Batch

Key = tuple[bytes, int, bool]


class Readings:
    """What a head or a layer reads of each row, without padding, in at most `limit` bytes.

    A row passes with the padding of its first batch, so what is kept is what another batch would
    give but for rounding.
    """

    def __init__(self, limit: float = 0):
        self.limit, self.bytes = limit, 0
        self._rows: dict[Key, Tensor] = {}

    def unknown(self, batch: Batch) -> Batch:
        """The rows of a batch that are not kept: those that must pass."""
        if not self._rows:
            return batch
        places = [n for n, key in enumerate(_keys(batch)) if key not in self._rows]
        return batch if len(places) == len(batch.ids) else batch.at(places)

    def whole(self, batch: Batch, passed: Batch, read: Tensor) -> Tensor:
        """What is read of all rows, once those that had to pass have been `read`."""
        if not self.limit:
            return read
        read = read.detach()  # rows of a prompt in the same pass give all of it a graph
        fresh = dict(zip(_keys(passed), _unpadded(passed, read), strict=True))
        for key, row in fresh.items():
            self._keep(key, row)
        if passed is batch:
            return read
        rows = [self._rows[key] if key in self._rows else fresh[key] for key in _keys(batch)]
        return pad_sequence(rows, batch_first=True)

    def clear(self) -> None:
        """Forgets all, as weights that change make it wrong."""
        self._rows.clear()
        self.bytes = 0

    def _keep(self, key: Key, row: Tensor) -> None:
        if key not in self._rows and self.bytes + row.nbytes <= self.limit:
            self._rows[key] = row.clone()  # a view would hold the whole batch in memory
            self.bytes += row.nbytes


def _keys(batch: Batch) -> list[Key]:
    """All that a backbone and a head see of each row; training may pass in fewer digits."""
    lower = torch.is_autocast_enabled(batch.ids.device.type)
    return [(row.key, batch.part, lower) for row in batch.rows]


def _unpadded(batch: Batch, read: Tensor) -> list[Tensor]:
    """One vector a row, or one for each of its tokens."""
    if read.ndim == 2:
        return list(read)
    return [states[: len(row.ids)] for states, row in zip(read, batch.rows, strict=True)]
