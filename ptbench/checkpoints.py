"""A trained cell as one safetensors file: prompt, head and what else trained, and nothing more."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ptbench.errors import PtbenchError
from ptbench.method import Adapted


class CheckpointError(PtbenchError):
    """A checkpoint that cannot be written, read, or put into this model."""


def save(model: Adapted, file: Path, config: Mapping[str, Any]) -> None:
    """Writes what reloading needs, in one step; the prompt's encoder becomes a table."""
    model.prompt.fold()
    draft = file.with_suffix(".tmp")
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in stored(model).items()}
    try:
        save_file(state, draft, metadata={"config": json.dumps(config)})
        draft.replace(file)
    except (OSError, SafetensorError) as error:
        draft.unlink(missing_ok=True)
        raise CheckpointError(f"{file} could not be written: {error}; free some disk") from error


def load(model: Adapted, file: Path) -> dict[str, Any]:
    """Puts a saved state into a fresh model of the same config, and gives that config.

    Raises CheckpointError naming the tensors that differ.
    """
    model.prompt.fold()
    try:
        with safe_open(file, framework="pt") as opened:
            found: dict[str, Tensor] = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a dict
            config = json.loads((opened.metadata() or {})["config"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{file} is not a checkpoint of ptbench: {error}") from error
    expected = {name: tuple(tensor.shape) for name, tensor in stored(model).items()}
    given = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if differing := sorted(dict(expected.items() ^ given.items())):
        name = differing[0]
        raise CheckpointError(
            f"{file} does not fit this model: {name} is {given.get(name, 'absent')} in the file, "
            f"{expected.get(name, 'absent')} in the model ({len(differing)} tensors differ)"
        )
    model.load_state_dict(found, strict=False)
    return config


def stored(model: Adapted) -> dict[str, Tensor]:
    """What trained, and the parts of the backbone that its checkpoint does not hold."""
    made = {f"backbone.model.{name}" for name in model.backbone.made}
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or name in made
    }
