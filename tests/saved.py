"""Prompts of a few tasks and methods, saved from one tiny backbone, and rows that ask them."""

from pathlib import Path
from typing import Any

import torch

from ptbench.checkpoints import save
from ptbench.data import Row
from ptbench.method import Adapted
from ptbench.provenance import portable
from ptbench.run import build_cell
from ptbench.serve import Served
from tests.runs import composed

PROMPTS = {
    "sentiment/v2": ("method=ptuning_v2", "task=pocket_sentiment", "method.prefix_length=5"),
    "sentiment/front": ("method=prompt_tuning", "task=pocket_sentiment"),
    "sentiment/probe": ("method=linear_probe", "task=pocket_sentiment"),
    "entities/prefix": ("method=prefix_tuning", "task=pocket_ner", "method.prefix_length=3"),
    "entities/one": ("method=ptuning_v2", "task=pocket_ner", "method.layers=[1]"),
    "entities/v1": ("method=ptuning_v1_frozen", "task=pocket_ner"),
}
WORDS = ("Jordan flew home .", "no", "the harbour of Chelsea is where Ford met Bath at noon")
ROWS: list[Row] = [
    {"prompt": name, "sentence": words, "tokens": words.split()}
    for words in WORDS
    for name in PROMPTS
]


def put(file: Path, *overrides: str, seed: int = 0, model: str = "tiny") -> Adapted:
    """Saves a cell whose prompt and head are random, as `ptbench run` would; the model itself."""
    config = composed(f"model={model}", *overrides)
    cell = build_cell(config)
    torch.manual_seed(seed)
    model_ = cell.method.adapt(cell.model.load(), cell.task.asks).eval()
    trained = [p for p in model_.parameters() if p.requires_grad]
    torch.manual_seed(len(file.stem) + sum(map(ord, str(overrides))))
    with torch.no_grad():
        for parameter in trained if model_.frozen else ():
            parameter += 0.5 * torch.randn_like(parameter)
    save(model_, file, portable(config), cell.model.identity())
    return model_


def served(folder: Path, **options: Any) -> Served:
    """The folder's prompts, on the random backbone that `put` had."""
    torch.manual_seed(0)
    return Served.load(folder, **options)
