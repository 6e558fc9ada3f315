"""On a GPU: passes wait for nothing, shared ones end as each alone, and answers are a CPU's."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from ptbench.answers import predict
from ptbench.backbones import Backbone
from ptbench.cost import PeakMemory
from ptbench.models import Random
from ptbench.train import Job, fit
from tests.test_fused import FROZEN, NAMES, method
from tests.test_train import Tasks, close, job, quiet, trained

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def _device() -> Iterator[None]:
    """Accelerate keeps a process's device."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def backbone(tiny: Random) -> Backbone:
    """The tiny backbone without dropout, on the GPU."""
    torch.manual_seed(0)
    return quiet(tiny.load()).cuda()


def made(backbone: Backbone, name: str, tasks: Tasks, seed: int = 0, **changes: Any) -> Job:
    torch.manual_seed(seed)
    cell = replace(method(name), backbone_dropout=False)
    model = cell.adapt(backbone, tasks["classification"].kind).to(backbone.words.weight)
    return job(model, tasks["classification"], seed, **changes)


def test_cells_in_one_pass_end_as_each_alone(backbone: Backbone, tasks: Tasks) -> None:
    backbone.double()
    try:
        specs = [partial(made, backbone, name, tasks, n) for n, name in enumerate(FROZEN)]
        alone = [trained(spec())[0] for spec in specs]
        for found, expected in zip(trained(*(spec() for spec in specs)), alone, strict=True):
            close(found, expected, 1e-9)
    finally:
        backbone.float()


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("count", (1, 3))
def test_a_step_waits_for_nothing(count: int, backbone: Backbone, tasks: Tasks) -> None:
    jobs = [made(backbone, "ptuning_v2", tasks, seed, epochs=6) for seed in range(count)]
    looks = Job.look

    def look(self: Job) -> None:  # which reads the loss
        torch.cuda.set_sync_debug_mode("default")
        looks(self)
        torch.cuda.set_sync_debug_mode("error" if self.step > 3 else "default")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Job, "look", look)
            fit(jobs, jobs[0].accelerator, count)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [one.failure for one in jobs] == [None] * count
    assert jobs[0].step > 10


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_a_cpu(name: str, tiny: Random, tasks: Tasks) -> None:
    torch.manual_seed(0)
    task = tasks["classification"]
    model = quiet(method(name).adapt(quiet(tiny.load()), task.kind)).eval()
    run = job(model, task)
    (part,) = run.next_batch()
    with torch.no_grad():
        expected = model(part.batch)
        found = model.cuda()(part.batch.to(torch.device("cuda"))).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert len(predict(model, run.encoder, run.select.features, 4)) == len(run.select.features)


def test_peak_memory_is_the_device_s(backbone: Backbone, tasks: Tasks) -> None:
    memory = PeakMemory(torch.device("cuda"))
    memory.start()
    one = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    assert memory.bytes() >= one.numel()
