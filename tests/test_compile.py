"""Compiled passes train as plain ones do, whatever the shape of a batch."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ptbench import backbones
from ptbench.errors import BackboneError, ConfigError
from ptbench.models import Random
from ptbench.paths import ROOT
from tests.test_train import TRAINING, Tasks, adapted, job, quiet


def test_losses_are_those_of_plain_passes_and_a_shape_is_not_compiled_anew() -> None:
    names = ("finetune", "ptuning_v2", "prompt_tuning")
    command = [sys.executable, "-m", "tests.compiled", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(names)
    for one in found.values():
        plain, compiled = one["losses"]
        assert compiled == pytest.approx(plain, abs=1e-5)
        assert 2 <= one["graphs"] <= 4, "one of training, one of evaluation; not one a shape"
        assert not one["breaks"]


def test_a_compiler_that_fails_is_told_with_the_setting(
    tiny: Random, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler found")

    monkeypatch.setattr(backbones, "COMPILER", broken)
    torch._dynamo.reset()
    backbone = quiet(tiny.load())
    backbone.use_compiler(True)
    model = adapted(backbone, tasks["labelling"].kind, place="none")
    (part,) = job(model, tasks["labelling"]).next_batch()
    with pytest.raises(BackboneError, match=r"no C\+\+ compiler.*set train\.compile=false"):
        model(part.batch)
    backbone.use_compiler(False)
    assert len(model(part.batch)) == len(part.batch.ids)


def test_kept_features_are_refused_beside_it() -> None:
    with pytest.raises(ConfigError, match=r"train\.compile=true with train\.keep=1"):
        replace(TRAINING, compile=True, keep=1.0)
