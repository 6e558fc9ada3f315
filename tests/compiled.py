"""Prints how cells train plain and compiled, outside of pytest, whose checks of shapes compile ill.

Compiled by torch as ever, but for the C++ of its own back end.
"""

import json
import sys

import torch
from torch._dynamo.utils import counters

from ptbench import backbones
from ptbench.train import Job, fit
from tests.conftest import TASKS, TINY
from tests.runs import built
from tests.test_train import job, quiet


def trained(name: str, compiled: bool) -> Job:
    torch.manual_seed(0)
    backbone = quiet(TINY.load())
    backbone.use_compiler(compiled)
    task = TASKS["labelling"](max_length=32)
    model = quiet(built(f"method={name}", "model=tiny").method.adapt(backbone, task.kind))
    run = job(model, task, epochs=2, batch_size=3)
    fit([run], run.accelerator)
    return run


if __name__ == "__main__":
    backbones.COMPILER = "aot_eager"
    found = {}
    for name in sys.argv[1:]:
        losses = [[point.loss for point in trained(name, c).curve] for c in (False, True)]
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        found[name] = {"losses": losses, "graphs": graphs, "breaks": breaks}
        torch._dynamo.reset()
        counters.clear()
    print(json.dumps(found))
