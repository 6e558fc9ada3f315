"""What never changes of a row is kept, and training goes on as if each passed in every epoch."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ptbench.backbones import Backbone, Pooling
from ptbench.checkpoints import load, save
from ptbench.errors import ConfigError
from ptbench.kinds import Multi
from ptbench.kinds.multi import TASK
from ptbench.models import Random
from ptbench.optimisation import Precision
from ptbench.task import Task
from ptbench.train import Job, fit
from tests.test_families import WORDS
from tests.test_fused import method
from tests.test_train import TRAINING, Tasks, close, job, quiet, trained

OWN_HEADS = ("classification", "labelling", "choice", "span")
EPOCHS = 4


def probe(
    backbone: Backbone,
    task: Task,
    name: str = "linear_probe",
    layers: list[int] | None = None,
    **changes: Any,
) -> Job:
    """A job of a probe, or of another method, whose head drops out; on the backbone given."""
    torch.manual_seed(0)
    asked = replace(method(name), backbone_dropout=False)
    asked = asked if layers is None else replace(asked, layers=layers)
    model = asked.adapt(backbone, task.kind).to(backbone.words.weight)
    for part in model.head.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.1
    return job(model, task, **{"epochs": EPOCHS, **changes})


@pytest.fixture
def backbone(tiny: Random) -> Backbone:
    torch.manual_seed(0)
    return quiet(tiny.load().double())


def passed(backbone: Backbone) -> Counter[bytes]:
    """Counts the passes through the backbone from now on in which each row has part."""
    rows: Counter[bytes] = Counter()

    def count(_: Any, arguments: tuple[Any, ...]) -> None:
        (inputs,) = arguments
        pairs = zip(inputs.embeds, inputs.mask, strict=True)
        rows.update({embeds[mask].numpy().tobytes() for embeds, mask in pairs})

    backbone.register_forward_pre_hook(count)
    return rows


def alike(kept: Job, plain: Job, tolerance: float = 1e-9) -> None:
    ends = []
    for run in (kept, plain):
        torch.manual_seed(7)  # of the head's dropout
        ends += trained(run)
    close(ends[0], ends[1], tolerance)
    for here, there in zip(kept.curve, plain.curve, strict=True):
        assert (here.step, here.score) == (there.step, there.score)
        assert here.loss == pytest.approx(there.loss, abs=1e-6)


def side_by_side(jobs: list[Job]) -> list[dict[str, Tensor]]:
    """What each ends with, all in every pass."""
    for run in jobs:
        run.model.restore = lambda state: None
    fit(jobs, jobs[0].accelerator, width=len(jobs))
    assert [run.failure for run in jobs] == [None] * len(jobs)
    return [run.model.trained_state() for run in jobs]


@pytest.mark.parametrize("kind", OWN_HEADS)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_probe_ends_the_same_and_each_row_passes_once(
    kind: str, accumulate: int, tasks: Tasks, backbone: Backbone
) -> None:
    alike(
        probe(backbone, tasks[kind], accumulate=accumulate, keep=1.0),
        probe(backbone, tasks[kind], accumulate=accumulate),
    )
    rows = passed(backbone)
    trained(probe(backbone, tasks[kind], keep=1.0))
    assert rows and set(rows.values()) == {1}
    rows.clear()
    trained(probe(backbone, tasks[kind]))
    assert set(rows.values()) >= {EPOCHS}


def test_padding_changes_nothing_in_any_family(
    family: str, tasks: Tasks, build_backbone: Callable[..., Backbone]
) -> None:
    backbone = build_backbone(family, vocab_size=WORDS)
    backbone.pooling = Pooling.mean
    for kind in ("classification", "labelling"):
        few: dict[str, Any] = {"epochs": 2, "batch_size": 5}
        alike(probe(backbone, tasks[kind], keep=1.0, **few), probe(backbone, tasks[kind], **few))


@pytest.mark.parametrize("kind", ["classification", "labelling"])
def test_no_more_is_kept_than_the_limit(kind: str, tasks: Tasks, backbone: Backbone) -> None:
    rows = passed(backbone)
    run = probe(backbone, tasks[kind], keep=2e-6)
    numbers = run.model.readings
    alike(run, probe(backbone, tasks[kind]))
    row = backbone.width * 8
    assert 2000 - 8 * row <= numbers.bytes <= 2000
    assert sum(rows.values()) < 2 * EPOCHS * len(rows), "some passed once, others every time"


def test_a_pass_holds_only_the_rows_that_are_not_kept(tasks: Tasks, backbone: Backbone) -> None:
    run = probe(backbone, tasks["labelling"], keep=1.0)
    batch, model = run.next_batch()[0].batch, run.model.eval()
    expected = model(batch)
    model.readings.clear()
    rows = passed(backbone)
    model.readings.whole(some := batch.at([2, 0]), some, backbone(backbone.inputs(some)))
    assert sum(rows.values()) == 2
    found = model(batch)
    assert sum(rows.values()) == len(batch.ids) and set(rows.values()) == {1}
    torch.testing.assert_close(found[batch.mask], expected[batch.mask], rtol=0, atol=1e-12)


def test_below_the_lowest_prompt_each_row_passes_once(
    family: str, tasks: Tasks, build_backbone: Callable[..., Backbone]
) -> None:
    backbone = build_backbone(family, vocab_size=WORDS)
    last = max(call.layer for call in backbone.injection.calls)
    deep: dict[str, Any] = {"name": "ptuning_v2", "layers": [last], "epochs": 2, "batch_size": 5}
    for kind in ("classification", "labelling"):
        alike(probe(backbone, tasks[kind], keep=1.0, **deep), probe(backbone, tasks[kind], **deep))
    if backbone.stack is None:
        assert family in ("albert", "bart", "t5"), "one layer's weights for all, or two stacks"
        return
    counts = [Counter[int]() for _ in range(2)]
    layers = [backbone.stack.layers[number] for number in (0, last)]
    for layer, count in zip(layers, counts, strict=True):
        layer.forward = partial(_counted, count, layer.forward)
    trained(probe(backbone, tasks["labelling"], keep=1.0, **deep))
    below, above = (sum(count.values()) for count in counts)
    assert below == 24 + 16 and above == 2 * below


def _counted(count: Counter[int], forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """A layer's forward pass that counts rows."""
    hidden = given[0] if given else named["hidden_states"]
    count[0] += len(hidden)
    return forward(*given, **named)


@pytest.mark.parametrize("name", ["ptuning_v2", "prompt_tuning", "finetune"])
def test_what_training_changes_is_not_kept(name: str, tasks: Tasks, backbone: Backbone) -> None:
    run = probe(backbone, tasks["classification"], name, epochs=1, keep=1.0)
    trained(run)
    assert run.model.readings.bytes == run.model.lower.bytes == 0


def test_nothing_is_kept_with_the_backbones_dropout(tasks: Tasks, tiny: Random) -> None:
    torch.manual_seed(0)
    dropping = replace(method("linear_probe"), backbone_dropout=True)
    model = dropping.adapt(tiny.load(), tasks["classification"].kind)
    trained(run := job(model, tasks["classification"], epochs=1, keep=1.0))
    assert run.model.readings.bytes == run.model.lower.bytes == 0


def test_beside_a_prompt_in_one_pass(tasks: Tasks, backbone: Backbone) -> None:
    def made(keep: float | None) -> list[Callable[[], Job]]:
        first, second = tasks["classification"], tasks["labelling"]
        return [
            partial(probe, backbone, first, keep=keep),
            partial(probe, backbone, second, "ptuning_v2", epochs=6),
            partial(probe, backbone, second, batch_size=5, keep=keep),
            partial(probe, backbone, first, "ptuning_v2", [1], keep=keep),
            partial(probe, backbone, second, "ptuning_v2", [1], epochs=3, keep=keep),
        ]

    together = [make() for make in made(keep=1.0)]
    for end, alone in zip(side_by_side(together), made(keep=None), strict=True):
        close(end, trained(alone())[0], 1e-9)
    kept = [run.model.readings.bytes > 0 for run in together]
    assert kept == [True, False, True, False, False]
    assert [run.model.depth for run in together] == [0, 0, 0, 1, 1]


def test_prompts_of_one_depth_enter_there_together(tasks: Tasks, backbone: Backbone) -> None:
    def made(keep: float | None) -> list[Callable[[], Job]]:
        first, second = tasks["classification"], tasks["labelling"]
        return [
            partial(probe, backbone, first, "ptuning_v2", [1], keep=keep),
            partial(probe, backbone, second, "ptuning_v2", [1], batch_size=5, keep=keep),
        ]

    together = [make() for make in made(keep=1.0)]
    for end, alone in zip(side_by_side(together), made(keep=None), strict=True):
        close(end, trained(alone())[0], 1e-9)
    assert all(run.model.lower.bytes for run in together)


def test_data_sets_with_the_same_rows_keep_their_own(tasks: Tasks, backbone: Backbone) -> None:
    names = ("labelling", "classification")
    kind = Multi(parts={n: tasks[n].kind for n in names}, limits=dict.fromkeys(names, 32))

    class Both:
        """The sentences, twice."""

        source = property(lambda self: self)

        def rows(self, split: str, root: Path | None) -> list[dict[str, Any]]:
            rows = tasks["labelling"].source.rows(split, root)
            return [{**row, TASK: name} for row in rows[:16] for name in names]

    both: Any = Both()
    both.kind = kind
    alike(probe(backbone, both, keep=1.0), probe(backbone, both))


def test_training_in_bf16_leaves_evaluation_its_digits(tasks: Tasks, tiny: Random) -> None:
    backbone = quiet(tiny.load())
    run = probe(backbone, tasks["labelling"], keep=1.0, precision=Precision.bf16)
    trained(run)
    (part,) = run.next_batch()
    with torch.no_grad():
        found = run.model.eval()(part.batch)
        run.model.readings.clear()
        expected = run.model(part.batch)
    real = part.batch.mask
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-6)


def test_weights_that_are_loaded_are_read_anew(tasks: Tasks, tiny: Random, tmp_path: Path) -> None:
    def with_pooler_of(seed: int) -> Job:
        """A checkpoint without a pooler: its random one is saved with what trained."""
        torch.manual_seed(0)
        backbone = tiny.load()
        backbone.pooling, backbone.made = Pooling.pooler, frozenset({"pooler.dense.weight"})
        torch.manual_seed(seed)
        torch.nn.init.normal_(backbone.model.pooler.dense.weight)  # pyright: ignore
        return probe(quiet(backbone), tasks["classification"], keep=1.0)

    first, second = with_pooler_of(1), with_pooler_of(2)
    batch = first.next_batch()[0].batch
    logits = [run.model.eval()(batch).detach() for run in (first, second)]
    assert not torch.allclose(*logits)
    assert all(run.model.readings.bytes for run in (first, second))
    save(first.model, tmp_path / "saved.safetensors", {}, "tiny")
    load(second.model, tmp_path / "saved.safetensors", "tiny")
    torch.testing.assert_close(second.model(batch), first.model(batch))


def test_a_limit_is_above_nothing() -> None:
    with pytest.raises(ConfigError, match=r"train\.keep=-1: must be above 0"):
        replace(TRAINING, keep=-1.0)
