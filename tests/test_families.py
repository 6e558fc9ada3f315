"""Every method, with the values of its own YAML, on every family of backbones.

benchmarks/families_table.py counts what passes here, and in test_family_counts.py, for the README.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from accelerate import Accelerator
from torch import Tensor

from ptbench import listing
from ptbench.attention import HOOK
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import Table
from ptbench.inputs import IGNORE, Batch, Inputs, KeyValue
from ptbench.kinds import Choice, Features, Kind, Span
from ptbench.method import Adapted, forward
from ptbench.models import enable_checkpointing
from ptbench.prompts import LayerPrompt
from ptbench.templates import Encoder
from ptbench.train import Job, Part, fit
from tests.conftest import KINDS, PLAIN, sentences
from tests.families import DECODERS, FAMILIES, PAIRS
from tests.runs import built
from tests.test_attention import close, stock

METHODS = tuple(listing.choices("method"))
CASES = [*product(METHODS, ("classification", "labelling"))]
CASES += product(("prompt_tuning", "ptuning_v2"), ("choice", "span"))
WORDS = 200  # as many as the tokenizer has
LAYERED = ("prefix_tuning", "ptuning_v2")
MASKED = [family for family in FAMILIES if family not in (*DECODERS, *PAIRS)]

Build = Callable[..., Backbone]
every_method = pytest.mark.parametrize("method", METHODS)
every_kind = pytest.mark.parametrize("kind", ["classification", "labelling"])


@cache
def cell_of(method: str) -> Any:
    """A cell of the method as its YAML has it."""
    return built(f"method={method}", "model=tiny")


@pytest.fixture(scope="module")
def backbone(build_backbone: Build, family: str) -> Backbone:
    """One of the family, for all tests that leave its weights alone."""
    return build_backbone(family, vocab_size=WORDS)


def adapted(backbone: Backbone, method: str, kind: Kind, seed: int = 3) -> Adapted:
    """The method on a backbone, in float64."""
    torch.manual_seed(seed)
    backbone.pooling = Pooling.last
    backbone.zero_grad()
    return cell_of(method).method.adapt(backbone, kind).double()


def examples(model: Adapted, rows: int = 6, seed: int = 0) -> Part:
    encoder = Encoder(model.backbone.tokenizer, 32)
    found = sentences("train", rows, seed)
    features: list[Features] = [
        model.kind.encode(row, encoder, model.kind.template) for row in found
    ]
    return Part(features, [model.kind.reference(row) for row in found])


def batch_of(model: Adapted, rows: int = 6, seed: int = 0) -> Batch:
    encoder = Encoder(model.backbone.tokenizer, 32)
    batch = model.kind.collate(examples(model, rows, seed).features, encoder)
    batch.types.zero_()  # some families have no second type
    model.check_length(batch.ids.shape[1])
    return batch


def gradients(model: Adapted, batch: Batch) -> dict[str, Tensor]:
    """Of the loss, for all that has any."""
    model.kind.loss(model(batch), batch).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_all_that_trains_has_a_gradient_and_nothing_else_has(
    backbone: Backbone, family: str, method: str, kind: str
) -> None:
    model = adapted(backbone, method, KINDS[kind])
    batch = batch_of(model)
    found = gradients(model, batch).keys()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert found <= trained
    assert any(name.startswith("backbone.") for name in trained) != model.frozen
    still = trained - found - unmoved(family, batch)
    if isinstance(model.kind, Choice | Span):  # what all choices or places share decides nothing
        still.discard("head.classifier.bias")
    assert not {name for name in still if not name.startswith("backbone.")}
    assert bool(still) <= (not model.frozen)
    # poolers, position tables of relative models and the like have no part
    assert len(still) <= 0.25 * len(list(backbone.parameters()))


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


@every_method
def test_training_moves_what_trains_and_not_a_bit_of_the_rest(
    backbone: Backbone, family: str, method: str
) -> None:
    model = adapted(backbone, method, KINDS["labelling"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rates = {"learning_rate": 1e-2, "head_learning_rate": 1e-2, "warmup": 0.0}
    training = replace(cell_of(method).training, epochs=1, batch_size=3, **rates)
    part, encoder = examples(model), Encoder(model.backbone.tokenizer, 32)
    few = Part(part.features[:2], part.references[:2])
    job = Job(model, encoder, part, few, training, 0, Accelerator(cpu=True))
    fit([job], job.accelerator)
    assert job.step == 2
    moved = {name for name, tensor in model.state_dict().items() if (tensor != before[name]).any()}
    model.load_state_dict(before)  # the next test has the same backbone
    own = {name for name in before if name.startswith(("prompt.", "head."))}
    assert own - moved <= unmoved(family, batch_of(model))
    if model.frozen:
        assert moved <= own
    else:
        trained = [name for name, _ in model.backbone.named_parameters()]
        assert len(moved - own) >= 0.75 * len(trained)


def answers(model: Adapted, batch: Batch) -> Tensor:
    """The logits that have a target, one row each."""
    return model(batch).flatten(0, -2)[batch.targets.flatten() != IGNORE]


@every_kind
@every_method
def test_more_padding_changes_nothing(backbone: Backbone, method: str, kind: str) -> None:
    model = adapted(backbone, method, KINDS[kind]).eval()
    batch = batch_of(model)
    longer = {name: F.pad(getattr(batch, name), (0, 3)) for name in ("ids", "mask", "types")}
    longer["slots"] = F.pad(batch.slots, (0, 3), value=-1)
    if batch.targets.shape == batch.ids.shape:
        longer["targets"] = F.pad(batch.targets, (0, 3), value=IGNORE)
    close(answers(model, replace(batch, **longer)), answers(model, batch))


@every_method
def test_a_hidden_prompt_leaves_the_bare_backbone(
    backbone: Backbone, family: str, method: str
) -> None:
    model = adapted(backbone, method, KINDS["labelling"]).eval()
    batch = batch_of(model)
    pseudo = batch.slots >= 0
    if family in PAIRS and pseudo.any():  # the decoder reads them unmasked, so let them be words
        model.prompt.fold()
        table: Table = model.prompt.encoder  # pyright: ignore[reportAssignmentType]
        words = torch.arange(5, 5 + table.length)
        table.embedding.weight.data = backbone.words(words).detach()
        batch = replace(batch, ids=torch.where(pseudo, words[batch.slots.clamp(min=0)], batch.ids))
    inputs = model.prompt(batch, backbone)
    text = replace(batch, mask=batch.text)
    found = backbone(replace(inputs, mask=batch.text, prefix=hidden(inputs)))
    backbone.injection.prefix = ()
    bare = stock(backbone, text, position_ids=inputs.positions)
    close(found[batch.text], bare[batch.text])
    seen = backbone(inputs)[batch.text]
    assert torch.allclose(seen, bare[batch.text]) == (not inputs.prefix and not pseudo.any())


def hidden(inputs: Inputs) -> tuple[KeyValue | None, ...]:
    """The prefix with a mask that shows none of it."""
    return tuple(
        entry and KeyValue(entry.key, entry.value, entry.key.new_zeros(entry.key.shape[::2]).bool())
        for entry in inputs.prefix
    )


@every_method
def test_checkpointing_recomputes_and_gives_equal_gradients(
    build_backbone: Build, backbone: Backbone, family: str, method: str
) -> None:
    if not backbone.model.supports_gradient_checkpointing:
        pytest.skip("transformers cannot recompute its layers")
    recomputing = build_backbone(family, vocab_size=WORDS)
    enable_checkpointing(recomputing.model)
    found, calls = [], Counter[bool]()
    for some in (backbone, recomputing):
        model = adapted(some, method, KINDS["labelling"]).train()
        first = next(part for part in some.modules() if HOOK in part.__dict__)
        again = some is recomputing
        handle = first.register_forward_pre_hook(lambda *_, key=again: calls.update([key]))
        torch.manual_seed(5)  # of the prompt's dropout
        found.append(gradients(model, batch_of(model)))
        handle.remove()
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        close(found[1][name], gradient)
    through = model.prompt.encoder is not None or not model.frozen
    assert calls == {False: 1, True: 2 if through else 1}


@every_method
def test_rows_of_several_prompts_equal_separate_runs(backbone: Backbone, method: str) -> None:
    models = [
        adapted(backbone, name, KINDS[kind], seed).eval()
        for seed, (name, kind) in enumerate(
            [(method, "labelling"), (method, "classification"), (LAYERED[1], "labelling")]
        )
    ]
    batches = [batch_of(model, rows=2, seed=seed) for seed, model in enumerate(models)]
    together = forward(models, batches)
    for model, batch, rows in zip(models, batches, together, strict=True):
        alone, real = model(batch), batch.mask if rows.ndim > 2 else slice(None)
        close(rows[real], alone[real])


@pytest.mark.parametrize("method", LAYERED)
def test_keys_and_values_of_every_layer_have_gradients(backbone: Backbone, method: str) -> None:
    model = adapted(backbone, method, KINDS["labelling"])
    model.prompt.fold()
    (gradient,) = (
        g for n, g in gradients(model, batch_of(model)).items() if n.startswith("prompt")
    )
    prompt = model.prompt
    assert isinstance(prompt, LayerPrompt)
    for part in gradient.split([2 * call.heads * call.size for call in prompt.calls], 1):
        assert part.unflatten(1, (2, -1)).any(-1).all()  # of each place: a key and a value


@pytest.mark.parametrize("method", ["ptuning_v1_frozen", "ptuning_v1_tuned"])
@pytest.mark.parametrize("family", MASKED)
def test_the_verbalizer_reads_what_the_masked_lm_itself_says(
    build_backbone: Build, family: str, method: str
) -> None:
    backbone = build_backbone(family, vocab_size=WORDS)
    whole = transformers.AutoModelForMaskedLM.from_config(backbone.model.config).double()
    backbone._lm_loader = lambda: whole
    model = adapted(backbone, method, replace(PLAIN, words=("n", "y"))).eval()
    batch = batch_of(model)
    found = gradients(model, batch)
    assert {name for name, _ in model.prompt.named_parameters(prefix="prompt")} <= found.keys()
    assert model.frozen == all(name.startswith("prompt.") for name in found)
    inputs = model.prompt(batch, backbone)
    backbone.injection.prefix = ()
    with backbone.lm_head.around(backbone.model) as itself:
        said = itself(inputs_embeds=inputs.embeds, attention_mask=batch.mask.long()).logits
    mask = backbone.tokenizer.mask_token_id
    words = backbone.tokenizer.convert_tokens_to_ids(["n", "y"])
    expected = said[torch.arange(len(said)), batch.ids.eq(mask).int().argmax(1)][:, words]
    close(model(batch), expected)
