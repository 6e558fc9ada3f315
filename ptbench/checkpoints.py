"""A trained cell as one safetensors file: prompt, head and what else trained, and nothing more."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ptbench.errors import PtbenchError
from ptbench.method import Adapted

TABLE = "prompt.encoder."  # where the encoder stands in an Adapted, and its table in a file


class CheckpointError(PtbenchError):
    """A checkpoint that cannot be written, read, or put into this model."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its cell's config, and the identity of its backbone's weights."""

    config: dict[str, Any]
    backbone: str
    sha256: str


def save(
    model: Adapted, file: Path, config: Mapping[str, Any], backbone: str, folded: bool = True
) -> None:
    """Writes what reloading needs, in one step; the file holds a table in the encoder's place.

    Not `folded` it holds the encoder itself, from which training can go on. Raises CheckpointError
    where no table can stand for the encoder, or nothing can be written.
    """
    state = {n: t.detach().cpu().contiguous() for n, t in stored(model, folded).items()}
    if folded:
        _check_table(model, state)
    header = {"config": json.dumps(config), "backbone": backbone, "sha256": _digest(state)}
    draft = file.with_suffix(".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, draft, metadata=header)
        draft.replace(file)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            draft.unlink()
        raise CheckpointError(f"{file} could not be written: {error}; free some disk") from error


def read_header(file: Path) -> Header:
    """What the file says of itself. Raises CheckpointError for one that is no checkpoint."""
    return _read(file)[0]


def check_backbone(file: Path, header: Header, backbone: str) -> None:
    """Raises CheckpointError where this is not the backbone that the file was trained with."""
    if header.backbone != backbone:
        raise CheckpointError(
            f"{file} belongs to the backbone {header.backbone}, and this one is {backbone}; "
            "load the backbone that it was trained with"
        )


def load(model: Adapted, file: Path, backbone: str) -> Header:
    """Puts a saved state into a fresh model of the same config on the same backbone.

    Raises CheckpointError naming what differs; the model is then as it was.
    """
    header, found = _read(file, tensors=True)
    check_backbone(file, header, backbone)
    given = _forms(found)
    folded = given != _forms(stored(model, folded=False))
    expected = _forms(stored(model, folded))
    if differing := sorted(dict(expected.items() ^ given.items())):
        name = differing[0]
        raise CheckpointError(
            f"{file} does not fit this model: {name} is {given.get(name, 'absent')} in the file, "
            f"{expected.get(name, 'absent')} in the model ({len(differing)} tensors differ); "
            "build the model from the file's config"
        )
    if _digest(found) != header.sha256:
        raise CheckpointError(
            f"{file} is damaged: its numbers have sha256 {_digest(found)}, and were saved with "
            f"{header.sha256}; copy it again"
        )
    if folded:
        model.prompt.fold()
    model.load_state_dict(found, strict=False)
    return header


def stored(model: Adapted, folded: bool = True) -> dict[str, Tensor]:
    """What trained, and the parts of the backbone that its checkpoint does not hold.

    `folded`: a table in the place of the prompt's encoder.
    """
    made = {f"backbone.model.{name}" for name in model.backbone.made}
    state: dict[str, Tensor] = {
        name: parameter
        for name, parameter in model.named_parameters()
        if (parameter.requires_grad or name in made) and not (folded and name.startswith(TABLE))
    }
    if folded and model.prompt.encoder is not None:
        state |= {TABLE + n: p for n, p in model.prompt.encoder.folded().named_parameters()}
    return state


def _check_table(model: Adapted, state: Mapping[str, Tensor]) -> None:
    encoder = model.prompt.encoder
    if encoder is None:
        return
    with torch.no_grad():
        rows = encoder().cpu()
    (table,) = (tensor for name, tensor in state.items() if name.startswith(TABLE))
    if not torch.equal(table, rows):
        raise CheckpointError(
            f"no table can stand for the prompt's {encoder.title}: its rows are not the same each "
            "time, or not numbers; save in evaluation mode, and a model that has not diverged"
        )


def _read(file: Path, tensors: bool = False) -> tuple[Header, dict[str, Tensor]]:
    try:
        with safe_open(file, framework="pt") as opened:
            said = opened.metadata() or {}
            names = opened.keys() if tensors else ()
            found = {name: opened.get_tensor(name) for name in names}
        if missing := [key for key in Header.__dataclass_fields__ if key not in said]:
            raise ValueError(f"it does not say its {' and '.join(missing)}")
        header = Header(json.loads(said["config"]), said["backbone"], said["sha256"])
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"{file} is not a whole checkpoint of ptbench: {error}; "
            "copy it again, or train its cell again with save=true"
        ) from error
    return header, found


def _forms(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {
        name: f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in state.items()
    }


def _digest(state: Mapping[str, Tensor]) -> str:
    """sha256 of all tensors' names and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
