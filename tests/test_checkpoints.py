"""A saved cell: prompts folded, the same logits in a fresh backbone, misfits refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from ptbench.cell import _encoded
from ptbench.checkpoints import CheckpointError, load, save
from ptbench.listing import choices
from ptbench.method import Adapted
from ptbench.templates import Encoder
from tests.runs import built, reviews, write_rows


def adapted(root: Path, method: str, *overrides: str) -> tuple[Adapted, Any]:
    """A freshly adapted tiny model in evaluation mode, and a batch for it."""
    for split in ("train", "validation"):
        write_rows(root / "sst2" / f"{split}.jsonl", reviews(12))
    chosen = (f"method={method}", "model=tiny", "task=sst2", "model.lm_head=false")
    cell = built(*chosen, f"data.root={root}", *overrides)
    torch.manual_seed(0)  # the tiny backbone is the same each time, what the method adds is not
    backbone = cell.model.load()
    torch.seed()
    model = cell.method.adapt(backbone, cell.task.kind).eval()
    encoder = Encoder(backbone.tokenizer, cell.task.max_length)
    part = _encoded(model, encoder, cell.task.splits(cell.data, cell.protocol))[0]
    return model, model.kind.collate(part.features[:4], encoder)


@pytest.mark.parametrize("method", choices("method"))
def test_a_saved_model_reloads_with_the_same_logits(method: str, tmp_path: Path) -> None:
    model, batch = adapted(tmp_path, method)
    before = model(batch)
    save(model, tmp_path / "saved.safetensors", {"method": method})
    fresh, _ = adapted(tmp_path, method)
    assert not torch.equal(fresh(batch), before) or method == "finetune"
    assert load(fresh, tmp_path / "saved.safetensors") == {"method": method}
    torch.testing.assert_close(fresh(batch), before, rtol=0, atol=1e-6)


def test_a_reparameterized_prefix_is_saved_as_a_table(tmp_path: Path) -> None:
    model, _ = adapted(tmp_path, "prefix_tuning")
    file = tmp_path / "saved.safetensors"
    save(model, file, {})
    with safe_open(file, framework="pt") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  # not a dict
    assert shapes == {
        "prompt.encoder.embedding.weight": (16, 2 * 2 * 32),
        "head.classifier.weight": (2, 32),
        "head.classifier.bias": (2,),
    }


def test_another_length_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "saved.safetensors"
    save(adapted(tmp_path, "ptuning_v2")[0], file, {})
    longer, _ = adapted(tmp_path, "ptuning_v2", "method.prefix_length=5")
    with pytest.raises(
        CheckpointError, match=r"encoder.embedding.weight is \(16, 128\).*\(5, 128\)"
    ):
        load(longer, file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load(longer, file)
