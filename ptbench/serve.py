"""Many saved prompts over one backbone: rows of all of them are answered in one pass."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from omegaconf import OmegaConf
from torch import Tensor

from ptbench import checkpoints
from ptbench.backbones import Backbone
from ptbench.build import build
from ptbench.checkpoints import CheckpointError, Header
from ptbench.data import Row
from ptbench.errors import ConfigError, DataError, PtbenchError, did_you_mean
from ptbench.kinds import Features
from ptbench.method import Adapted, Method, respond
from ptbench.models import Model
from ptbench.task import Task
from ptbench.templates import Encoder

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Saved:
    """A saved prompt on the shared backbone; `own` are the weights that its checkpoint lacks."""

    model: Adapted
    encoder: Encoder
    own: dict[str, Tensor]


@dataclass(frozen=True)
class Asked:
    """A row, encoded for the prompt that answers it."""

    row: Row
    prompt: Saved
    features: Features


class Served:
    """Saved prompts by name, over one backbone.

    The name of a prompt is its file's path in the folder, without suffix. Prompts that were saved
    with different random poolers take a pass each.
    """

    def __init__(self, backbone: Backbone, prompts: Mapping[str, Saved]):
        self.backbone, self.prompts = backbone, prompts

    @classmethod
    def load(cls, folder: str | Path, backbone: str | Path | None = None) -> "Served":
        """All prompts in a folder and below; `backbone` is the local folder that some need.

        Raises CheckpointError naming the file and what is amiss, or two that cannot share.
        """
        files = sorted(Path(folder).rglob("*.safetensors"))
        if not files:
            raise CheckpointError(
                f"{folder} holds no saved prompt (*.safetensors); "
                "`ptbench run ... save=true` writes them to results/runs/<sweep>/<task>"
            )
        headers = {file: checkpoints.read_header(file) for file in files}
        model = _shared_model(headers, backbone)
        identity = model.identity()
        checkpoints.check_backbone(files[0], headers[files[0]], identity)
        loaded = model.load().to(PartialState().device)
        prompts: dict[str, Saved] = {}
        for file, header in headers.items():
            name = file.relative_to(folder).with_suffix("").as_posix()
            saved = _loaded(file, header, loaded, identity, alone=len(files) == 1)
            same = (p.own for p in prompts.values() if _equal(p.own, saved.own))
            prompts[name] = Saved(saved.model, saved.encoder, next(same, saved.own))
        return cls(loaded, prompts)

    @torch.no_grad()
    def predict(self, rows: Sequence[Row], batch_size: int = 32) -> list[Any]:
        """The answers in the order of the rows: a label's name, or a list of them.

        A row has the columns of its task, a label not needed, and `prompt`, a prompt's name or the
        last part of it. Raises DataError naming the row.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: must be 1 or more")
        asked = [self._asked(number, row) for number, row in enumerate(rows, 1)]
        found: list[Any] = [None] * len(rows)
        for own in {id(prompt.own): prompt.own for prompt in self.prompts.values()}.values():
            self.backbone.load_state_dict(own, strict=False)
            places = [place for place, one in enumerate(asked) if one.prompt.own is own]
            places.sort(key=lambda place: len(asked[place].features))
            for start in range(0, len(places), batch_size):
                some = {place: asked[place] for place in places[start : start + batch_size]}
                for place, answer in self._answers(some):
                    found[place] = answer
        return found

    def _answers(self, asked: Mapping[int, Asked]) -> Iterator[tuple[int, Any]]:
        """Each place's answer, all from one pass through the backbone."""
        groups: dict[tuple[Saved, int], list[int]] = defaultdict(list)
        for place, one in asked.items():
            groups[one.prompt, one.features.part].append(place)
        device = self.backbone.words.weight.device
        batches = [
            prompt.model.kind.collate([asked[p].features for p in places], prompt.encoder)
            for (prompt, _), places in groups.items()
        ]
        found = respond([prompt.model for prompt, _ in groups], [b.to(device) for b in batches])
        for ((prompt, _), places), answers in zip(groups.items(), found, strict=True):
            for place, answer in zip(places, answers, strict=True):
                yield place, prompt.model.kind.answer(answer, asked[place].row)

    def _asked(self, number: int, row: Row) -> Asked:
        try:
            prompt = self.prompts[self._name(row)]
            kind = prompt.model.kind
            kind.check_text(row)
            features = kind.encode(kind.unlabelled(row), prompt.encoder, kind.template)
            prompt.model.check_length(len(features))
        except PtbenchError as error:
            raise DataError(f"row {number}: {error}") from error
        return Asked(row, prompt, features)

    def _name(self, row: Row) -> str:
        if "prompt" not in row:
            raise DataError(f"column 'prompt' is missing; it has {', '.join(row)}")
        asked = str(row["prompt"])
        if asked in self.prompts:
            return asked
        found = [name for name in self.prompts if name.rpartition("/")[2] == asked]
        if len(found) > 1:
            raise DataError(f"prompt '{asked}' is one of {', '.join(found)}; say which")
        if not found:
            known = (name if "/" in asked else name.rpartition("/")[2] for name in self.prompts)
            raise DataError(f"prompt '{asked}': no such file; {did_you_mean(asked, known)}")
        return found[0]


def open_one(file: Path, backbone: str | Path | None = None) -> tuple[Header, Saved]:
    """One saved prompt on a backbone of its own; `backbone` is the local folder that it may need.

    Raises CheckpointError naming the file and what is amiss.
    """
    header = checkpoints.read_header(file)
    model = _model(file, header, backbone)
    identity = model.identity()
    checkpoints.check_backbone(file, header, identity)
    return header, _loaded(file, header, model.load(), identity, alone=True)


def _shared_model(headers: Mapping[Path, Header], backbone: str | Path | None) -> Model:
    """The model that all files name. Raises CheckpointError naming two that differ, and how."""
    models = {file: _model(file, header, backbone) for file, header in headers.items()}
    first, *others = (
        (file, {"kind": type(model).__name__, **vars(model), "weights": headers[file].backbone})
        for file, model in models.items()
    )
    for file, told in others:
        for key in first[1] | told:
            if (one := first[1].get(key)) != (two := told.get(key)):
                raise CheckpointError(
                    f"{first[0]} and {file} do not share a backbone: model.{key} is {one} in the "
                    f"first and {two} in the second; put them in folders of their own"
                )
    return models[first[0]]


def _model(file: Path, header: Header, backbone: str | Path | None) -> Model:
    node = dict(header.config.get("model", {}))
    if backbone is not None:
        node["name"] = str(backbone)
    elif node.get("name") == "local":
        raise CheckpointError(
            f"{file} was trained on a backbone in a local folder ({header.backbone}); "
            "name that folder with --backbone"
        )
    return _part(file, {"model": node}, "model", Model)


def _loaded(file: Path, header: Header, backbone: Backbone, identity: str, alone: bool) -> Saved:
    method = _part(file, header.config, "method", Method)
    task = _part(file, header.config, "task", Task)
    model = (
        method.adapt(backbone, task.asks.fitted(backbone)).to(backbone.words.weight.device).eval()
    )
    if not (model.frozen or alone):
        raise CheckpointError(
            f"{file}: its backbone trained too ({method.name}), so no other prompt can share it; "
            "put the file in a folder of its own"
        )
    checkpoints.load(model, file, identity)
    made = {f"model.{name}" for name in backbone.made}
    own = {n: p.detach().clone() for n, p in backbone.named_parameters() if n in made}
    return Saved(model, Encoder(backbone.tokenizer, task.max_length, backbone.two_stacks), own)


def _part(file: Path, config: Mapping[str, Any], name: str, base: type[T]) -> T:
    try:
        return build(OmegaConf.create(config[name]), name, base)
    except (KeyError, ConfigError) as error:
        raise CheckpointError(
            f"{file} was saved with settings that this ptbench cannot build: {error}"
        ) from error


def _equal(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one)
