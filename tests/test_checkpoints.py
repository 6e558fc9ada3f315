"""A saved cell: prompts folded, the same logits in a fresh backbone, misfits refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ptbench.backbones import Backbone
from ptbench.cell import encoded
from ptbench.checkpoints import CheckpointError, load, read_header, save
from ptbench.encoders import LSTM, MLP, Table
from ptbench.listing import choices
from ptbench.method import Adapted
from ptbench.models import Pretrained
from ptbench.templates import Encoder
from tests.conftest import TINY
from tests.runs import built, reviews, write_rows

VARIANTS = [
    *((f"method={method}",) for method in choices("method")),
    ("method=ptuning_v1_frozen", "model.lm_head=false"),
    ("method=ptuning_v1_frozen", "method.encoder=mlp"),
    ("method=ptuning_v2", "method.reparameterize=true"),
    ("method=ptuning_v2", "method.layers=[1]"),
]


def adapted(root: Path, *overrides: str, backbone: Backbone | None = None) -> tuple[Adapted, Any]:
    """A freshly adapted tiny model in evaluation mode, and a batch for it."""
    for split in ("train", "validation"):
        write_rows(root / "sst2" / f"{split}.jsonl", reviews(12))
    cell = built("model=tiny", "task=sst2", f"data.root={root}", *overrides)
    if backbone is None:
        torch.manual_seed(0)  # the tiny backbone is the same each time, and so is its LM head
        backbone = cell.model.load()
        torch.seed()  # what the method adds is not
    kind = replace(cell.task.kind, words=("n", "y"))  # tiny knows single characters alone
    model = cell.method.adapt(backbone, kind).eval()
    encoder = Encoder(backbone.tokenizer, cell.task.max_length)
    part = encoded(model, encoder, cell.task.splits(cell.data, cell.protocol))[0]
    return model, model.kind.collate(part.features[:4], encoder)


def stir(model: Adapted) -> None:
    """Moves all that trains, as training would."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
@torch.no_grad()
def test_a_saved_model_reloads_with_the_same_logits(
    variant: tuple[str, ...], tmp_path: Path
) -> None:
    model, batch = adapted(tmp_path, *variant)
    stir(model)
    before = model(batch)
    save(model, tmp_path / "saved.safetensors", {"method": "m"}, "random")
    fresh, _ = adapted(tmp_path, *variant)
    assert not torch.equal(fresh(batch), before)
    assert load(fresh, tmp_path / "saved.safetensors", "random").config == {"method": "m"}
    assert torch.equal(fresh(batch), before)


@pytest.mark.parametrize(
    ("method", "encoder"), [("prefix_tuning", MLP), ("ptuning_v1_frozen", LSTM)]
)
def test_training_goes_on_after_saving_as_if_nothing_had_been_saved(
    method: str, encoder: type[nn.Module], tmp_path: Path
) -> None:
    model, _ = adapted(tmp_path, f"method={method}")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(1)
    save(model, tmp_path / "saved.safetensors", {}, "random")
    drawn = torch.rand(1)
    assert isinstance(model.prompt.encoder, encoder)
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1)), "saving drew random numbers"


def tensors(file: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(file, framework="pt") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  # not a dict


def test_a_reparameterized_prefix_is_saved_as_a_table(tmp_path: Path) -> None:
    model, _ = adapted(tmp_path, "method=prefix_tuning")
    model.double()
    file = tmp_path / "saved.safetensors"
    save(model, file, {}, "random")
    assert tensors(file) == {
        "prompt.encoder.embedding.weight": (16, 2 * 2 * 32),
        "head.classifier.weight": (2, 32),
        "head.classifier.bias": (2,),
    }
    assert model.prompt.encoder is not None
    rows = load_file(file)["prompt.encoder.embedding.weight"]
    assert torch.equal(rows, model.prompt.encoder()), "in float64 too"


def test_an_encoder_for_which_no_table_can_stand_is_refused(tmp_path: Path) -> None:
    class Noisy(Table):
        def forward(self) -> Tensor:
            return nn.functional.dropout(self.embedding.weight, training=self.training)

    model, _ = adapted(tmp_path, "method=ptuning_v2")
    model.prompt.encoder = Noisy(16, 128)
    with pytest.raises(CheckpointError, match=r"no table can stand for the prompt's Noisy.*evalua"):
        save(model, tmp_path / "saved.safetensors", {}, "random")
    assert not list(tmp_path.glob("saved*"))
    model.eval()
    save(model, tmp_path / "saved.safetensors", {}, "random")


@pytest.fixture(scope="module")
def poolerless(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """A checkpoint without a pooler, which each load draws anew, in a local folder."""
    folder = tmp_path_factory.mktemp("poolerless")
    backbone = TINY.load()
    backbone._lm_loader().save_pretrained(folder)  # pyright: ignore[reportOptionalCall]
    backbone.tokenizer.save_pretrained(folder)
    pooler = type(TINY.pooling)("pooler")
    return Pretrained(pooler, False, str(folder), None, "sdpa", False)


def test_the_pooler_that_the_checkpoint_lacks_is_saved(
    poolerless: Pretrained, tmp_path: Path
) -> None:
    file = tmp_path / "saved.safetensors"
    model, batch = adapted(tmp_path, "method=ptuning_v2", backbone=poolerless.load())
    save(model, file, {}, poolerless.identity())
    pooler = {"backbone.model.pooler.dense.weight", "backbone.model.pooler.dense.bias"}
    assert {name for name in tensors(file) if name.startswith("backbone")} == pooler
    fresh, _ = adapted(tmp_path, "method=ptuning_v2", backbone=poolerless.load())
    poolers = [some.backbone.model.pooler.dense.weight for some in (model, fresh)]
    assert not torch.equal(*poolers), "each load draws its own"
    load(fresh, file, poolerless.identity())
    assert torch.equal(fresh(batch), model(batch))


MISFITS = {
    "method.prefix_length=5": r"encoder\.embedding\.weight is \(16, 128\) float32 in the file, "
    r"\(5, 128\) float32 in the model \(1 tensors differ\)",
    "method.layers=[0]": r"encoder\.embedding\.weight is \(16, 128\) .*, \(16, 64\) ",
    "model.width=16": r"head\.classifier\.weight is \(2, 32\) .*, \(2, 16\) .*\(2 tensors differ",
    "method=linear_probe": r"encoder\.embedding\.weight is \(16, 128\) .*, absent in the model",
    "method=finetune": r"backbone\.model\.\S+ is absent in the file, \(",
}


@pytest.mark.parametrize("override", MISFITS)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    override: str, tmp_path: Path
) -> None:
    file = tmp_path / "saved.safetensors"
    save(adapted(tmp_path, "method=ptuning_v2")[0], file, {}, "random")
    method = () if override.startswith("method=") else ("method=ptuning_v2",)
    other, _ = adapted(tmp_path, *method, override)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=MISFITS[override]):
        load(other, file, "random")
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_another_backbone_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "saved.safetensors"
    model, _ = adapted(tmp_path, "method=ptuning_v2")
    save(model, file, {}, "sha256:1234")
    with pytest.raises(CheckpointError, match=r"belongs to the backbone sha256:1234, .* is a@main"):
        load(model, file, "a@main")


def test_what_is_no_whole_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "saved.safetensors"
    model, _ = adapted(tmp_path, "method=ptuning_v2")
    save(model, file, {"seed": 0}, "random")
    assert read_header(file).config == {"seed": 0}
    whole = file.read_bytes()
    for length in (0, 100, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="not a whole checkpoint of ptbench"):
            load(model, file, "random")
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"is damaged: its numbers have sha256 [0-9a-f]{64}"):
        load(model, file, "random")
    save_file({"a": torch.ones(1)}, file, {"config": json.dumps({})})
    with pytest.raises(CheckpointError, match="it does not say its backbone and sha256"):
        read_header(file)
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "absent.safetensors")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    model, _ = adapted(tmp_path, "method=ptuning_v2")
    (tmp_path / "taken").touch()
    with pytest.raises(CheckpointError, match=r"taken/saved.safetensors could not be written"):
        save(model, tmp_path / "taken" / "saved.safetensors", {}, "random")
