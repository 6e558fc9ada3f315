"""Every method on every family of backbones: what trains, and that all of it has a gradient."""

from collections.abc import Callable
from functools import cache
from itertools import product

import pytest
import torch

from ptbench import listing
from ptbench.backbones import Backbone, Pooling
from ptbench.inputs import IGNORE, Batch
from ptbench.kinds import Choice, Kind
from ptbench.method import Adapted, Method
from ptbench.templates import Encoder
from tests.conftest import KINDS, sentences
from tests.families import DECODERS, PAIRS
from tests.runs import built

METHODS = tuple(listing.choices("method"))
CASES = [*product(METHODS, ("classification", "labelling"))]
CASES += product(("prompt_tuning", "ptuning_v2"), ("choice", "span"))


@cache
def method_of(name: str) -> Method:
    """The method as its YAML has it."""
    return built(f"method={name}", "model=tiny").method


def adapted(backbone: Backbone, method: str, kind: Kind) -> Adapted:
    """The method's own YAML on a backbone."""
    torch.manual_seed(3)
    backbone.pooling = Pooling.last
    return method_of(method).adapt(backbone, kind).double()


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_all_that_trains_has_a_gradient_and_nothing_else_has(
    build_backbone: Callable[..., Backbone], family: str, method: str, kind: str
) -> None:
    model = adapted(build_backbone(family), method, KINDS[kind])
    encoder = Encoder(model.backbone.tokenizer, 32)
    rows = sentences("train", 6, seed=0)
    features = [model.kind.encode(row, encoder, model.kind.template) for row in rows]
    batch = model.kind.collate(features, encoder)
    batch.ids.remainder_(120)  # of the small vocabularies
    batch.types.zero_()  # some families have no second type
    model.check_length(batch.ids.shape[1])
    model.kind.loss(model(batch), batch).backward()
    still = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen <= still
    still -= unmoved(family, batch)
    if isinstance(model.kind, Choice):  # what all choices share decides nothing
        still.discard("head.classifier.bias")
    assert not {name for name in still - frozen if not name.startswith("backbone.")}
    if not model.frozen:  # poolers, position tables of relative models and the like have no part
        trained = [n for n, _ in model.backbone.named_parameters()]
        assert len(still) < 0.25 * len(trained)


def unmoved(family: str, batch: Batch) -> set[str]:
    """An LSTM's recurrent weights, where no target of a decoder stands behind its second row."""
    if batch.targets.shape != batch.slots.shape:  # answered at one place, which sees all
        return set()
    seen = [
        row[: target.nonzero().max() + 1].max()
        for row, target in zip(batch.slots, batch.targets != IGNORE, strict=True)
    ]
    alone = family in DECODERS and max(seen) == 0
    return {"prompt.encoder.lstm.weight_hh_l1"} if alone else set()


def test_prefix_tuning_has_an_mlp_for_each_site(
    build_backbone: Callable[..., Backbone], family: str
) -> None:
    backbone = build_backbone(family)
    model = adapted(backbone, "prefix_tuning", KINDS["classification"])
    method = method_of("prefix_tuning")
    rows, hidden = method.prefix_length, method.hidden  # pyright: ignore[reportAttributeAccessIssue]
    calls = backbone.injection.calls
    sites = len({call.site for call in calls})
    assert sites == (3 if family in PAIRS else 1)
    width = sum(2 * call.heads * call.size for call in calls)
    expected = sites * (rows * 32 + 32 * hidden + hidden) + hidden * width + width
    assert sum(p.numel() for p in model.prompt.parameters()) == expected
    model.prompt.fold()
    assert sum(p.numel() for p in model.prompt.parameters()) == rows * width
