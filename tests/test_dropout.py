"""Dropout on a CPU: the law of torch's own, and the same attention around it."""

from collections import Counter
from contextlib import nullcontext
from itertools import product
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from ptbench import attention
from ptbench import dropout as quick
from ptbench.dropout import Dropout, dropout, quick_attention
from ptbench.models import Random

SHARES = (0.1, 0.2, 0.5)


@pytest.mark.parametrize("share", SHARES)
def test_the_share_falls_and_the_rest_is_scaled(share: float) -> None:
    torch.manual_seed(0)
    numbers = torch.rand(1_000_003, dtype=torch.float64) + 1
    found = dropout(numbers, share)
    fell = found == 0
    assert stats.binomtest(int(fell.sum()), len(numbers), share).pvalue > 0.01
    torch.testing.assert_close(found[~fell], numbers[~fell] / (1 - share), rtol=2e-5, atol=0)


def test_numbers_of_one_draw_fall_independently() -> None:
    torch.manual_seed(1)
    fell = dropout(torch.ones(400_000), 0.3).view(-1, 4) == 0
    patterns = list(product((False, True), repeat=4))
    counts = [int((fell == torch.tensor(one)).all(1).sum()) for one in patterns]
    expected = [100_000 * 0.3 ** sum(one) * 0.7 ** (4 - sum(one)) for one in patterns]
    assert stats.chisquare(counts, expected).pvalue > 0.01


def test_gradients_are_those_of_the_numbers_that_stay() -> None:
    def drawn_alike(numbers: Tensor) -> Tensor:
        torch.manual_seed(2)
        return dropout(numbers.transpose(0, 1) ** 2, 0.4)

    numbers = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(drawn_alike, numbers)


def test_a_seed_fixes_what_falls_for_any_number_of_threads() -> None:
    found, threads = [], torch.get_num_threads()
    for count in (1, 2, 2):
        torch.manual_seed(3)
        torch.set_num_threads(count)
        found.append(dropout(torch.ones(300, 300), 0.5))
    torch.set_num_threads(threads)
    assert found[0].equal(found[1])
    assert found[1].equal(found[2])
    assert not found[2].equal(dropout(torch.ones(300, 300), 0.5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_type_stays(dtype: torch.dtype) -> None:
    numbers = torch.ones(64, dtype=dtype, requires_grad=True)
    found = dropout(numbers, 0.5)
    found.sum().backward()
    assert found.dtype is dtype
    assert numbers.grad is not None
    assert numbers.grad.equal(found)


@pytest.mark.parametrize("plain", [False, True])
def test_what_stays_is_told_apart_from_the_numbers(
    plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plain:  # as on a GPU
        monkeypatch.setattr(quick, "_quick", lambda numbers, share: False)
    numbers = torch.randn(7, 9, dtype=torch.float64)
    torch.manual_seed(9)
    whole = dropout(numbers, 0.4)
    torch.manual_seed(9)
    stays, scale = quick.staying(numbers, 0.4)
    assert stays.element_size() == 1
    torch.testing.assert_close(numbers * scale * stays, whole)


def test_nothing_and_all_may_fall() -> None:
    numbers = torch.rand(9)
    assert dropout(numbers, 0.0).equal(numbers)
    assert not dropout(numbers, 1.0).any()
    assert Dropout(0.5).eval()(numbers) is numbers


BOOLEAN = torch.arange(6) < torch.tensor([4, 6])[:, None, None, None]
ATTENTIONS = {
    "no mask": {},
    "a mask of what is seen": {"attn_mask": BOOLEAN},
    "a mask that is added": {"attn_mask": torch.where(BOOLEAN, 0.0, -1e9).double()},
    "causal": {"is_causal": True},
    "a scale of its own": {"scale": 0.3},
    "keys that queries share": {"enable_gqa": True},
}


@pytest.mark.parametrize("how", ATTENTIONS)
def test_attentions_weights_fall_or_are_scaled(how: str) -> None:
    torch.manual_seed(4)
    asked: dict[str, Any] = {"attn_mask": None, "is_causal": False, "scale": None}
    asked |= ATTENTIONS[how]
    heads = 2 if "enable_gqa" in asked else 4
    query = torch.randn(2, 4, 6, 8, dtype=torch.float64)
    key = torch.randn(2, heads, 6, 8, dtype=torch.float64)
    value = torch.eye(6, dtype=torch.float64).expand(2, heads, 6, 6)  # so that weights come out
    weights = F.scaled_dot_product_attention(query, key, value, dropout_p=0.0, **asked)
    with quick_attention(query, 0.5):
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=0.5, **asked)
    fell = found == 0
    torch.testing.assert_close(found[~fell], 2 * weights[~fell])
    assert 0 < fell[weights > 0].double().mean() < 1


@pytest.mark.parametrize("how", ATTENTIONS)
def test_attentions_gradients_are_those_of_the_weights_that_stay(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    monkeypatch.setattr(quick, "CACHED", 100)  # fewer than the weights of both rows
    asked: dict[str, Any] = {"attn_mask": None, "is_causal": False, "scale": None}
    asked |= ATTENTIONS[how]
    heads = 2 if "enable_gqa" in asked else 4
    query, key, value = (
        torch.randn(2, many, 6, 3, dtype=torch.float64, requires_grad=True)
        for many in (4, heads, heads)
    )
    mask = asked.pop("attn_mask")
    if mask is not None and mask.dtype != torch.bool:  # as T5 trains its distances
        mask = torch.randn(1, 4, 6, 6, dtype=torch.float64, requires_grad=True)

    def drawn_alike(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        torch.manual_seed(6)
        with quick_attention(query, 0.3):
            return F.scaled_dot_product_attention(query, key, value, mask, dropout_p=0.3, **asked)

    assert torch.autograd.gradcheck(drawn_alike, (query, key, value, mask))


def test_attention_keeps_a_byte_of_each_weight() -> None:
    rows, heads, tokens, size = 2, 3, 40, 4
    parts = [torch.randn(rows, heads, tokens, size, requires_grad=True) for _ in range(3)]
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    how: dict[str, Any] = {"attn_mask": None, "is_causal": False, "scale": None}
    keeping = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with keeping, quick_attention(parts[0], 0.1):
        found = F.scaled_dot_product_attention(*parts, dropout_p=0.1, **how)
    assert found.requires_grad
    numbers = 4 * sum(part.numel() for part in parts)
    assert sum(kept.values()) <= numbers + rows * heads * tokens**2 + 4


def test_attention_in_mixed_precision_has_nearly_the_same_gradients() -> None:
    torch.manual_seed(7)
    parts = [torch.randn(2, 4, 6, 8, requires_grad=True) for _ in range(3)]

    def gradients(mixed: bool) -> Tensor:
        torch.manual_seed(8)
        how: dict[str, Any] = {"attn_mask": None, "is_causal": False, "scale": None}
        dtype = torch.bfloat16 if mixed else torch.float32
        given = [part.to(dtype) for part in parts]  # as a layer makes them
        with torch.autocast("cpu", torch.bfloat16, mixed), quick_attention(given[0], 0.3):
            found = F.scaled_dot_product_attention(*given, dropout_p=0.3, **how)
        assert found.dtype is dtype
        return torch.stack(torch.autograd.grad(found.square().sum(), parts))

    torch.testing.assert_close(gradients(True), gradients(False), rtol=0.05, atol=0.05)


def test_a_backbone_in_training_drops_so_everywhere(
    tiny: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.load().model.train()
    assert all(type(part) is Dropout for part in model.modules() if isinstance(part, nn.Dropout))
    drawn: list[torch.Size] = []
    draw = quick._staying

    def watched(numbers: Tensor, steps: int) -> Tensor:
        drawn.append(numbers.shape)
        return draw(numbers, steps)

    monkeypatch.setattr(quick, "_staying", watched)
    model(torch.arange(12).view(2, 6))
    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    states = torch.Size((2, 6, model.config.hidden_size))
    assert Counter(drawn) == {states: 1 + 2 * layers, torch.Size((2, heads, 6, 6)): layers}


def test_a_backbones_passes_have_the_law_that_torchs_dropout_gives(tiny: Random) -> None:
    torch.manual_seed(5)
    model = tiny.load().model.train()
    ids, direction = torch.arange(12).view(2, 6), torch.randn(2, 6, model.config.hidden_size)

    def drawn() -> list[float]:
        return [float((model(ids).last_hidden_state * direction).sum()) for _ in range(400)]

    with torch.no_grad():
        ours = drawn()
        plain = mock.patch.object(attention, "quick_attention", lambda query, share: nullcontext())
        with plain, mock.patch.object(quick, "dropout", F.dropout):
            torchs = drawn()
    alike: Any = stats.ks_2samp(ours, torchs)
    as_wide: Any = stats.levene(ours, torchs)
    assert min(alike.pvalue, as_wide.pvalue) > 0.01
