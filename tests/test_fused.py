"""Jobs in one pass end where each would end alone; the fault of one does not touch the others."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import combinations_with_replacement
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from methods.ptuning_v2 import HeadName
from ptbench import train
from ptbench.backbones import Backbone
from ptbench.errors import Diverged
from ptbench.fuse import Shared
from ptbench.inputs import stack
from ptbench.listing import choices
from ptbench.method import Adapted, Method
from ptbench.models import Random
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.task import Task
from ptbench.train import Job, fit
from tests.test_train import Tasks, close, job, quiet, trained

Made = Callable[[], Job]
NAMES = choices("method")
FROZEN = [name for name in NAMES if name not in ("finetune", "ptuning_v1_tuned")]
KINDS = ("classification", "labelling")
STEPS = {"epochs": 9, "batch_size": 4}  # of 24 rows: 54 steps


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_whether_it_trains_the_backbone(
    name: str, tasks: Tasks, tiny: Random
) -> None:
    model = method(name).adapt(tiny.load(), tasks["classification"].kind)
    assert model.frozen is not method(name).trains_backbone
    assert (name in FROZEN) is model.frozen


@pytest.fixture(scope="module")
def still(tiny: Random) -> Backbone:
    """The tiny backbone without dropout; prompts and heads keep theirs."""
    torch.manual_seed(0)
    return quiet(tiny.load())


@cache
def method(name: str) -> Method:
    """As its file describes it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_cell(compose("config", [f"method={name}", "model=tiny"])).method


def made(backbone: Backbone, name: str, task: Task, seed: int, **changes: Any) -> Job:
    """A job as the runner makes it: its seed first, then what draws from it."""
    torch.manual_seed(seed)
    quiet_method = replace(method(name), backbone_dropout=False)
    model = quiet_method.adapt(backbone, task.kind).to(backbone.words.weight)
    return job(model, task, seed, **changes)


@pytest.fixture(scope="module")
def alone() -> dict[tuple[str, str, torch.dtype], dict[str, Tensor]]:
    """What each method ends with by itself."""
    return {}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("pair", list(combinations_with_replacement(FROZEN, 2)))
def test_every_pair_of_frozen_methods_ends_as_each_alone(
    pair: tuple[str, str],
    dtype: torch.dtype,
    tolerance: float,
    tasks: Tasks,
    still: Backbone,
    alone: dict[tuple[str, str, torch.dtype], dict[str, Tensor]],
) -> None:
    backbone = still.to(dtype)
    specs = [
        partial(made, backbone, n, tasks[k], i, **STEPS)
        for i, (n, k) in enumerate(zip(pair, KINDS, strict=True))
    ]
    for spec, name, kind in zip(specs, pair, KINDS, strict=True):
        key = (name, kind, dtype)
        if key not in alone:
            alone[key] = trained(spec())[0]
    together = trained(*(spec() for spec in specs))
    for found, name, kind in zip(together, pair, KINDS, strict=True):
        close(found, alone[(name, kind, dtype)], tolerance)


def test_cells_that_share_a_random_lm_head_start_as_each_alone(tasks: Tasks, tiny: Random) -> None:
    def start(cell: Method, load: Callable[[Random], Backbone]) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = cell.adapt(load(tiny), tasks["cloze"].kind)
        return {**model.state_dict(), "next draw": torch.rand(1)}

    shared = Shared()
    worded = replace(method("ptuning_v2"), head=HeadName.verbalizer)
    for cell in (method("ptuning_v1_frozen"), worded, replace(worded, prefix_length=3)):
        close(start(cell, shared.load), start(cell, Random.load), 0.0)
    assert len(shared.loaded) == 1


def several(backbone: Backbone, tasks: Tasks) -> list[Made]:
    """Three jobs of other lengths, batches, tasks, rates and ends."""
    first, second = (tasks[kind] for kind in KINDS)
    return [
        partial(made, backbone, "ptuning_v2", first, 1, epochs=5),
        partial(made, backbone, "prompt_tuning", second, 2, epochs=7, batch_size=6, accumulate=2),
        partial(made, backbone, "prefix_tuning", first, 3, epochs=3, learning_rate=1e-3),
    ]


def test_prefixes_that_all_rows_see_whole_stack_without_a_mask(
    tasks: Tasks, still: Backbone
) -> None:
    task = tasks["classification"]
    short = replace(method("ptuning_v2"), prefix_length=3)
    models = [method(n).adapt(still, task.kind) for n in ("ptuning_v2", "prefix_tuning")]
    (part,) = made(still, "ptuning_v2", task, 0).next_batch()

    def masks(*several: Adapted) -> list[Any]:
        stacked = stack([one.prompt(part.batch, still) for one in several])
        return [entry and entry.mask for entry in stacked.prefix]

    assert masks(*models) == [None, None]
    assert None not in masks(*models, short.adapt(still, task.kind))
    assert None not in masks(*models, method("linear_probe").adapt(still, task.kind))


def test_three_jobs_with_dropout_of_their_own_end_as_each_alone(
    tasks: Tasks, still: Backbone
) -> None:
    specs = several(still.double(), tasks)
    expected = [trained(spec())[0] for spec in specs]
    for found, wanted in zip(trained(*(spec() for spec in specs)), expected, strict=True):
        close(found, wanted, 1e-9)


def test_a_job_that_diverges_leaves_and_the_others_end_as_without_it(
    tasks: Tasks, still: Backbone
) -> None:
    backbone = still.double()
    specs = several(backbone, tasks)
    expected = [trained(spec())[0] for spec in specs]
    bad = made(backbone, "ptuning_v2", tasks["labelling"], 9, epochs=9, learning_rate=math.inf)
    jobs = [specs[0](), bad, specs[1](), specs[2]()]
    trained(*jobs)
    assert isinstance(bad.failure, Diverged)
    for some, wanted in zip([jobs[0], *jobs[2:]], expected, strict=True):
        assert some.failure is None
        close(some.model.trained_state(), wanted, 1e-9)


def at_fault(*_: Any) -> Any:
    raise RuntimeError("no such label")


def full(*_: Any) -> Any:
    raise torch.OutOfMemoryError("no room")


@pytest.mark.parametrize(
    ("owner", "name", "fault", "steps"),
    [
        ("head", "forward", at_fault, 0),  # in the pass that all share
        ("job", "update", full, 0),  # where the optimiser takes its memory
        ("kind", "predict", full, 3),  # at the end of the first epoch
    ],
)
def test_the_fault_of_a_job_is_its_own(
    owner: str,
    name: str,
    fault: Callable[..., Any],
    steps: int,
    tasks: Tasks,
    still: Backbone,
) -> None:
    specs = several(still.double(), tasks)
    expected = [trained(spec())[0] for spec in specs]
    bad, *others = made(still, "ptuning_v2", tasks["labelling"], 9), *(spec() for spec in specs)
    bad.model.kind = replace(bad.model.kind)  # its own, since the task's is every test's
    faulty = {"head": bad.model.head, "job": bad, "kind": bad.model.kind}[owner]
    object.__setattr__(faulty, name, fault)
    trained(others[0], bad, *others[1:])
    with pytest.raises(RuntimeError, match=r"no such label|no room"):
        raise bad.failure or AssertionError
    assert bad.step == steps
    for some, wanted in zip(others, expected, strict=True):
        close(some.model.trained_state(), wanted, 1e-9)


def test_jobs_are_evaluated_in_passes_that_they_share(tasks: Tasks, still: Backbone) -> None:
    passes: list[int] = []
    counting = still.register_forward_pre_hook(
        lambda module, inputs: (
            None if torch.is_grad_enabled() else passes.append(len(inputs[0].mask))
        )
    )
    task = tasks["classification"]
    for count in (1, 3):
        jobs = [made(still, "ptuning_v2", task, seed, epochs=1) for seed in range(count)]
        fit(jobs, jobs[0].accelerator, count)
    counting.remove()
    half = len(passes) // 2
    assert half
    assert passes[half:] == [3 * rows for rows in passes[:half]]


def test_where_memory_is_short_fewer_are_evaluated_at_once(tasks: Tasks, still: Backbone) -> None:
    def short(module: Any, inputs: Any) -> None:
        if not torch.is_grad_enabled() and len(inputs[0].mask) > 8:  # two jobs' batches of four
            raise torch.OutOfMemoryError("no room")

    backbone = still.double()
    specs = [
        partial(made, backbone, "ptuning_v2", tasks["classification"], seed, **STEPS)
        for seed in range(5)
    ]
    expected = [trained(spec())[0] for spec in specs]
    limited = backbone.register_forward_pre_hook(short)
    found = trained(*(spec() for spec in specs))
    limited.remove()
    for one, wanted in zip(found, expected, strict=True):
        close(one, wanted, 1e-9)


@pytest.mark.parametrize(
    ("limit", "gain", "widest"), [(0, math.inf, 1), (math.inf, math.inf, 3), (math.inf, 0.0, 2)]
)
def test_the_measured_width_keeps_within_memory_and_goes_on_while_it_gains(
    limit: float,
    gain: float,
    widest: int,
    tasks: Tasks,
    still: Backbone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def forward(models: Any, batches: Any, own: Any) -> list[Tensor]:
        sizes.append(len(models))
        return real(models, batches, own)

    real = train.forward
    monkeypatch.setattr(train, "forward", forward)
    monkeypatch.setattr(train, "memory_limit", lambda device: limit)
    monkeypatch.setattr(train, "GAIN", gain)
    specs = several(still.double(), tasks)
    expected = [trained(spec())[0] for spec in specs]
    sizes.clear()
    for found, wanted in zip(trained(*(spec() for spec in specs)), expected, strict=True):
        close(found, wanted, 1e-9)
    assert max(sizes) == widest


def test_those_of_like_length_pass_together(
    tasks: Tasks, still: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[list[int]] = []

    def forward(models: Any, batches: Any, own: Any) -> list[Tensor]:
        passed.append([batch.ids.shape[1] for batch in batches])
        return real(models, batches, own)

    real = train.forward
    monkeypatch.setattr(train, "forward", forward)
    task = tasks["classification"]
    jobs = [made(still, "linear_probe", task, seed, epochs=1) for seed in range(6)]
    fit(jobs, jobs[0].accelerator, 2)
    whole = [[*passed[n], *passed[n + 1], *passed[n + 2]] for n in range(0, len(passed), 3)]
    assert all(lengths == sorted(lengths) for lengths in whole)
    assert len({tuple(lengths) for lengths in whole}) > 1


def short_of_memory(limit: int) -> Callable[..., list[Tensor]]:
    """A forward pass that holds no more models than that, and says so late."""

    def forward(models: Any, batches: Any, own: Any) -> list[Tensor]:
        logits = real(models, batches, own)
        if len(models) > limit:
            raise torch.OutOfMemoryError("no room")
        return logits

    real = train.forward
    return forward


def test_where_memory_is_short_fewer_pass_at_once(
    tasks: Tasks, still: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = several(still.double(), tasks)
    expected = [trained(spec())[0] for spec in specs]
    monkeypatch.setattr(train, "forward", short_of_memory(2))
    for found, wanted in zip(trained(*(spec() for spec in specs)), expected, strict=True):
        close(found, wanted, 1e-9)


def test_a_job_that_memory_does_not_hold_leaves(
    tasks: Tasks, still: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = several(still, tasks)
    monkeypatch.setattr(train, "forward", short_of_memory(0))
    jobs = [spec() for spec in specs]
    fit(jobs, jobs[0].accelerator)
    assert all(isinstance(some.failure, torch.OutOfMemoryError) for some in jobs)
    with pytest.raises(torch.OutOfMemoryError):
        fit([specs[0]()], jobs[0].accelerator)


def test_with_the_backbones_dropout_the_losses_have_the_same_mean(
    tasks: Tasks, tiny: Random
) -> None:
    torch.manual_seed(0)
    backbone = tiny.load()
    task = tasks["classification"]

    def losses(width: int) -> Tensor:
        """Of the first step, equal but for what is dropped, `width` jobs side by side."""
        found = []
        for start in range(0, 64, width):
            jobs = []
            for _ in range(width):
                torch.manual_seed(7)  # of the first weights
                model = method("ptuning_v2").adapt(backbone, task.kind)
                torch.manual_seed(1000 + len(found) + len(jobs))
                jobs.append(job(model, task, 0, epochs=1, batch_size=24))
            torch.manual_seed(start)
            fit(jobs, jobs[0].accelerator)
            found += [some.curve[0].loss for some in jobs]
        return torch.tensor(found)

    one, many = losses(1), losses(8)
    error = math.sqrt(float(one.var() + many.var()) / 64)
    assert error > 0
    assert abs(float(one.mean() - many.mean())) < 4 * error
