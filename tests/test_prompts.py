"""Prompts and their encoders: what they put where, how they start, what they refuse."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ptbench.backbones import Backbone
from ptbench.encoders import LSTM, MLP, Encoder, Table
from ptbench.errors import BackboneError
from ptbench.inputs import Batch
from ptbench.kinds import Classification
from ptbench.method import Adapted
from ptbench.prompts import InputPrompt, LayerPrompt, Prompt
from ptbench.recompute import enable_checkpointing
from tests.families import BLOCKS, PAIRS

Build = Callable[..., Backbone]
LAYERS, HEADS, SIZE = 3, 4, 8  # of conftest's encoders


def batch(slots: list[list[int]]) -> Batch:
    """Random ids with these pseudo tokens; nothing is padded."""
    torch.manual_seed(1)
    places = torch.tensor(slots)
    ids = torch.randint(5, 120, places.shape)
    rows = len(slots)
    mask, types = torch.ones_like(ids).bool(), torch.zeros_like(ids)
    answer, targets = torch.full((rows,), -1), torch.zeros(rows, 1, dtype=torch.long)
    return Batch(ids, mask, types, places, answer, targets)


PLAIN = [[-1] * 5] * 2


def test_a_prefix_row_holds_key_and_value_layer_after_layer(build_backbone: Build) -> None:
    backbone = build_backbone("bert")
    table = Table(2, LayerPrompt.width(backbone))
    prompt = LayerPrompt(backbone, table, 0.0, shifted=True)
    numbers = table.embedding.weight.view(2, 2 * LAYERS, HEADS, SIZE)
    for layer, entry in enumerate(prompt.prefix(3)):
        assert entry is not None and entry.mask is None
        for row in range(3):
            for place in range(2):
                assert torch.equal(entry.key[row, :, place], numbers[place, 2 * layer])
                assert torch.equal(entry.value[row, :, place], numbers[place, 2 * layer + 1])


def test_prefix_dropout_zeroes_numbers_for_each_example_anew(build_backbone: Build) -> None:
    backbone = build_backbone("bert")
    table = Table(50, LayerPrompt.width(backbone))
    prompt = LayerPrompt(backbone, table, 0.25, shifted=True)
    entry, same = prompt.prefix(2)[0], prompt.eval().prefix(2)[0]
    assert entry is not None and same is not None
    zeros = entry.key == 0
    assert zeros.float().mean() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(zeros[0], zeros[1])
    torch.testing.assert_close(entry.key[~zeros], same.key[~zeros] / 0.75)
    assert not (same.key == 0).any()


def test_recomputed_layers_drop_their_part_of_a_prefix_that_rows_share(
    build_backbone: Build,
) -> None:
    backbone = build_backbone("bert")
    enable_checkpointing(backbone.model)
    table = Table(5, LayerPrompt.width(backbone))
    prompt = LayerPrompt(backbone, table, 0.25, shifted=True)
    some = batch(PLAIN)
    torch.manual_seed(3)
    late = prompt(some, backbone).prefix
    torch.manual_seed(3)
    for whole, part in zip(prompt.prefix(2), late, strict=True):
        assert whole is not None and part is not None
        assert part.key.untyped_storage().nbytes() == table.embedding.weight.nbytes
        torch.testing.assert_close(part.dropped().key, whole.key)
        torch.testing.assert_close(part.dropped().value, whole.value)


def test_shift_is_the_prompts_length_or_nothing(build_backbone: Build) -> None:
    backbone = build_backbone("bert")
    for shifted, first in ((True, 4), (False, 0)):
        table = Table(4, LayerPrompt.width(backbone)).double()
        inputs = LayerPrompt(backbone, table, 0.0, shifted)(batch(PLAIN), backbone)
        assert inputs.positions.tolist() == [list(range(first, first + 5))] * 2
        assert inputs.embeds.shape == (2, 5, 32)


def test_a_model_fits_the_position_table_exactly(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    kind = Classification(("n", "y"), text="{x}", pattern="{x}")
    prompt = LayerPrompt(backbone, Table(4, LayerPrompt.width(backbone)).double(), 0.0, True)
    head = kind.head(backbone).double()
    model = Adapted(kind, backbone, prompt, head, frozen=True, backbone_dropout=False)
    if backbone.position_limit is None:
        assert family == "t5"  # its positions are relative
        return
    longest = 62 if "roberta" in family else 64  # RoBERTa's table begins behind its pad
    longest -= 0 if family in PAIRS else 4  # whose positions nobody shifts
    model.check_length(longest)
    model(batch([[-1] * longest]))
    with pytest.raises(BackboneError, match=r"prompt length 4.*lower task\.max_length"):
        model.check_length(longest + 1)


def test_rows_replace_the_word_embeddings_of_their_slots(build_backbone: Build) -> None:
    backbone = build_backbone("bert")
    some = batch([[-1, 0, -1, 1, 2], [0, 1, 2, -1, -1]])
    prompt = InputPrompt(Table(3, 32, std=1.0)).double()
    rows, inputs = prompt.encoder(), prompt(some, backbone)
    words = backbone.words(some.ids)
    for row, slots in enumerate(some.slots.tolist()):
        for place, slot in enumerate(slots):
            expected = words[row, place] if slot < 0 else rows[slot]
            assert torch.equal(inputs.embeds[row, place], expected)
    assert inputs.prefix == () and inputs.positions[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("block", BLOCKS)
def test_embedding_twice_passes_the_block_before_and_after(
    build_backbone: Build, block: str
) -> None:
    backbone = build_backbone(block)
    width = backbone.words.embedding_dim
    some = batch([[0, 1, -1, -1]])
    prompt = InputPrompt(Table(2, width, std=1.0), embed_twice=True).double()
    text = backbone.inputs(batch([[-1, -1, -1, -1]]))
    once = backbone.embedded(text.embeds[:, 2:], text.types[:, 2:], text.positions[:, :2])
    expected = torch.cat([prompt.encoder()[None], once], 1)
    torch.testing.assert_close(prompt(some, backbone).embeds, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("without", ["llama", "t5", "modernbert"])
def test_embedding_twice_needs_a_block(build_backbone: Build, without: str) -> None:
    backbone = build_backbone(without)
    width = backbone.words.embedding_dim
    prompt = InputPrompt(Table(2, width), embed_twice=True).double()
    with pytest.raises(BackboneError, match=r"set method\.embed_twice=false"):
        prompt(batch([[0, 1, -1]]), backbone)


def test_gradients_reach_the_prompt_and_nothing_frozen(build_backbone: Build, family: str) -> None:
    backbone = build_backbone(family)
    kind = Classification(("n", "y"), text="{x}", pattern="{x}")
    width = backbone.words.embedding_dim
    layered = LayerPrompt(backbone, Table(2, LayerPrompt.width(backbone)), 0.0, True)
    for prompt, some in (
        (layered, batch(PLAIN)),
        (InputPrompt(Table(2, width)), batch([[0, 1, -1]])),
    ):
        head = kind.head(backbone)
        model = Adapted(kind, backbone, prompt, head, frozen=True, backbone_dropout=False).double()
        kind.loss(model(some), some).backward()
        assert all(p.grad is not None and p.grad.any() for p in prompt.parameters())
        assert all(p.grad is not None and p.grad.any() for p in head.parameters())
        assert all(p.grad is None for p in backbone.parameters())


def test_without_a_prompt_nothing_is_added(build_backbone: Build) -> None:
    backbone, some = build_backbone("bert"), batch(PLAIN)
    inputs = Prompt()(some, backbone)
    assert torch.equal(inputs.embeds, backbone.words(some.ids))
    assert inputs.prefix == () and inputs.positions.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_layer_that_is_not_there_is_refused(build_backbone: Build) -> None:
    with pytest.raises(BackboneError, match=r"method\.layers names \[3\].*layers 0 to 2"):
        LayerPrompt.width(build_backbone("bert"), [0, 3])


@pytest.mark.parametrize(
    ("encoder", "std"),
    [
        (Table(400, 64), 0.02),
        (Table(400, 64, std=1.0), 1.0),
        (MLP(400, 64, 8, 32, nn.Tanh(), std=0.02), 0.02),
        (MLP(400, 64, 8, 32, nn.Tanh()), 1.0),
        (LSTM(400, 64, 32), 1.0),
    ],
    ids=["table", "wide table", "mlp of v2", "mlp of prefix-tuning", "lstm of v1"],
)
def test_encoders_start_as_the_originals_do(encoder: Encoder, std: float) -> None:
    rows = encoder.embedding.weight
    assert rows.std().item() == pytest.approx(std, rel=0.05)
    assert encoder().shape == (encoder.length, encoder.width)
    torch.testing.assert_close(encoder.folded()(), encoder(), rtol=0, atol=1e-6)
