"""What PEFT cannot hold is refused, with the setting named, before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ptbench.backbones import Backbone
from ptbench.method import Method
from ptbench.peft_export import ExportError, export
from ptbench.prompts import LayerPrompt
from tests.exported import PAIR, ROWS, SIZE, TAGS, V2, adapted, written
from tests.saved import put

Build = Callable[..., Backbone]
ARCHITECTURES = [
    *((name, V2, "takes no cache") for name in ("albert", "distilbert", "modernbert", "deberta")),
    ("gemma3_text", V2, "architecture 'gemma3_text' has sliding windows"),
    ("bart", V2, "architecture 'bart' has two stacks"),
    ("t5", ROWS, "architecture 't5' has two stacks"),
]


@pytest.mark.parametrize(("family", "method", "why"), ARCHITECTURES)
def test_architectures_that_peft_cannot_give_this_prompt_are_refused(
    family: str, method: Method, why: str, build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone(family, vocab_size=200), method, TAGS)
    with pytest.raises(ExportError, match=why):
        written(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_token_types_need_a_head_since_peft_drops_them_without(
    build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone("bert", **SIZE), V2, PAIR, "mean")
    with pytest.raises(ExportError, match=r"two token types, .* since BertForSequence\w+ reads"):
        written(model, tmp_path)


class Further(LayerPrompt):
    """Counts the text's positions from one place too far."""

    @property
    def shift(self) -> int:
        return super().shift + 1


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_what_transformers_computes_otherwise_is_refused(
    family: str, build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone(family, **SIZE), V2, TAGS)
    assert model.prompt.encoder is not None
    model.prompt = Further(model.backbone, model.prompt.encoder, dropout=0.0, shifted=True)
    with pytest.raises(ExportError, match="other hidden states; use `ptbench predict`"):
        written(model, tmp_path)


REFUSED = {
    "method=ptuning_v2 method.layers=[1]": r"method\.layers=\[1\]: PEFT's prefix enters every lay",
    "method=ptuning_v2 method.shifted=false": r"method\.shifted=false: .* train with true",
    "method=prompt_tuning method.embed_twice=true": r"method\.embed_twice=true: .* with false",
    "method=ptuning_v1_frozen": "pattern has pseudo tokens behind words or special tokens",
    "method=linear_probe": "no prompt",
    "method=finetune": "its backbone trained too",
    "method=ptuning_v1_tuned": "its backbone trained too",
}


@pytest.mark.parametrize("how", REFUSED)
def test_settings_that_peft_has_no_place_for_are_named(how: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.safetensors"
    put(file, "task=pocket_ner", *how.split())
    torch.manual_seed(0)
    with pytest.raises(ExportError, match=rf"saved\.safetensors: .*{REFUSED[how]}"):
        export(file, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()
