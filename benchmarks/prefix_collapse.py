"""Why prefix-tuning can end with one label for every word: what its head's rate does to the text.

Trains prefix-tuning on WNUT-17 with the head at the MLP's rate and at ten times it, and prints
entity F1 beside how much the last hidden states still differ from word to word.

    python benchmarks/prefix_collapse.py --data-root <folder>
"""

import argparse
import json
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from ptbench.answers import predict
from ptbench.cell import encoded
from ptbench.method import Adapted
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.templates import Encoder
from ptbench.train import Job, fit


def spread(model: Adapted, job: Job) -> tuple[float, float]:
    """Standard deviation of hidden states over words, and of prefix keys and values."""
    batch = model.kind.collate(job.select.features[:64], job.encoder)
    model.eval()
    with torch.no_grad():
        hidden = model.backbone(model.prompt(batch, model.backbone))[batch.text]
        prefix = model.prompt.encoder() if model.prompt.encoder is not None else hidden
    return hidden.std(0).mean().item(), prefix.std().item()


def trained(root: str, rows: int, head_rate: float) -> dict[str, float]:
    """One run of three epochs, and what is left of the text after each."""
    overrides = ["task=wnut17", "method=prefix_tuning", f"data.root={root}", "~tuned"]
    overrides += ["protocol=search", f"data.train_rows={rows}", "train.epochs=3"]
    overrides += ["train.learning_rate=1e-3", f"train.head_learning_rate={head_rate}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    cell = build_cell(config)
    torch.set_num_threads(1)
    set_seed(cell.seed)
    model = cell.method.adapt(cell.model.load(), cell.task.kind)
    encoder = Encoder(model.backbone.tokenizer, cell.task.max_length)
    parts = encoded(model, encoder, cell.task.splits(cell.data, cell.protocol))
    job = Job(model, encoder, parts[0], parts[1], cell.training, cell.seed, Accelerator(cpu=True))
    before = spread(model, job)
    fit([job], job.accelerator)
    after = spread(model, job)
    found = predict(model, encoder, parts[1].features, 16)
    return {
        "head_learning_rate": head_rate,
        "f1": model.kind.score(found, parts[1].references)["f1"],
        "loss": job.curve[-1].loss,
        "hidden_spread_before": before[0],
        "hidden_spread_after": after[0],
        "prefix_spread_before": before[1],
        "prefix_spread_after": after[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--rows", type=int, default=500)
    chosen = parser.parse_args()
    results = [trained(chosen.data_root, chosen.rows, rate) for rate in (1e-3, 1e-2)]
    text = json.dumps(results, indent=1)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "prefix_collapse.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
