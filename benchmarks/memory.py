"""Peak memory of a few training steps of each method on a random BERT-large, over fine-tuning's.

Each method runs in a process of its own. On a CPU it is the process's peak less what it had before
the model was made (the libraries); on a GPU the allocator's peak. glibc keeps freed blocks of up to
32 MB, and gaps between them count. So that a figure is the tensors', blocks from 1 MB on are given
back at once (MALLOC_MMAP_THRESHOLD_), but for rows that say otherwise.

    python benchmarks/memory.py [--rows 16] [--tokens 128] [--layers 24] [--width 1024]
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import torch
from measure import DEVICE, called, keep
from steps import BASELINE, METHODS, adapted, bert, job_of

from ptbench.cost import PeakMemory
from ptbench.recompute import enable_checkpointing
from ptbench.train import fit

CHECKPOINTED = " with gradient checkpointing"
STILL = " without the backbone's dropout"
KEPT = " with the blocks that glibc keeps"
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


def peak(settings: argparse.Namespace) -> dict[str, int]:
    """Bytes that training adds to the process."""
    torch.set_num_threads(settings.threads)
    settings.method = settings.method.removesuffix(KEPT)
    name = settings.method.removesuffix(CHECKPOINTED).removesuffix(STILL)
    memory = PeakMemory(DEVICE)
    memory.start()
    before = memory.bytes() or 0
    backbone = bert(settings.width, settings.layers)
    if settings.method.endswith(CHECKPOINTED):
        enable_checkpointing(backbone.model)
    made, training = adapted(name, backbone, settings.prompt)
    made.backbone_dropout &= STILL not in settings.method
    job = job_of(made, training, settings.rows, settings.tokens, settings.steps)
    fit([job], job.accelerator)
    return {"bytes": (memory.bytes() or 0) - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", help="measure this one in this process")
    numbers = {"threads": 2, "rows": 16, "tokens": 128, "prompt": 20, "width": 1024, "layers": 24}
    for key, value in {**numbers, "steps": 2}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    settings = parser.parse_args()
    if settings.method:
        print(json.dumps(peak(settings)))
        return
    found: dict[str, Any] = {}
    variants = [one + way for way in (CHECKPOINTED, STILL) for one in (BASELINE, "ptuning_v2")]
    if DEVICE.type == "cpu":
        variants += [one + KEPT for one in (BASELINE, "ptuning_v2", f"ptuning_v2{CHECKPOINTED}")]
    for method in (*METHODS, *variants):
        again = [sys.executable, *sys.argv, "--method", method]
        own = os.environ | ({} if method.endswith(KEPT) else GIVEN_BACK)
        done = subprocess.run(again, capture_output=True, text=True, check=True, env=own)
        found[method] = json.loads(done.stdout.splitlines()[-1])
        baseline = BASELINE + KEPT if method.endswith(KEPT) else BASELINE
        ratio = found[method]["bytes"] / found[baseline]["bytes"]
        found[method]["over fine-tuning"] = round(ratio, 3)
    shown = {key: value for key, value in vars(settings).items() if key != "method"}
    keep(called("memory"), "python benchmarks/memory.py", shown, found)


if __name__ == "__main__":
    main()
