"""Our scores beside those of scorers that we did not write, on wrong answers to real questions.

The wrong answers are WNUT-17's and XQuAD's own, disturbed with a fixed seed.

    pip install --no-deps conlleval==0.2 torchmetrics==1.9.0 lightning-utilities==0.15.3
    python benchmarks/scorers.py --data-root <folder>
"""

import argparse
import json
import random
from importlib.metadata import version
from pathlib import Path
from typing import Any

import conlleval  # pyright: ignore[reportMissingImports]
import seqeval.metrics
from torchmetrics.functional.text import squad  # pyright: ignore[reportMissingImports]

from ptbench.build import chosen
from ptbench.metrics import SquadV1, score
from ptbench.task import Task

SHARE = 0.15  # of the words with another label; of the answers with each kind of mistake
SEED = 0


def asked(name: str, split: str, root: Path) -> tuple[Task, list[Any]]:
    """A task and the references of a split."""
    task = chosen("task", name, Task)
    return task, [task.asks.reference(row) for row in task.origin.rows(split, root)]


def entities(root: Path) -> dict[str, Any]:
    """Entity F1, by three scorers, of labels that are no BIO any more."""
    task, gold = asked("wnut17", "test", root)
    draw, labels = random.Random(SEED), task.asks.labels
    found = [[draw.choice(labels) if draw.random() < SHARE else x for x in row] for row in gold]
    lines = (
        line
        for pair in zip(gold, found, strict=True)
        for line in [*(f"word {a} {b}" for a, b in zip(*pair, strict=True)), ""]
    )
    library: Any = seqeval.metrics  # its stubs say that a micro average may be a list
    whole: dict[str, Any] = conlleval.evaluate(lines)["overall"]["chunks"]["evals"]
    return {
        "rows": len(gold),
        "ptbench": task.asks.score(found, gold),
        "conlleval": {"f1": whole["f1"], "precision": whole["prec"], "recall": whole["rec"]},
        "seqeval": {
            "f1": float(library.f1_score(gold, found)),
            "precision": float(library.precision_score(gold, found)),
            "recall": float(library.recall_score(gold, found)),
        },
    }


def disturbed(answer: str, others: list[str], draw: random.Random) -> str:
    """An answer with a mistake, a word more or less, or another spelling of the same."""
    words = answer.split()
    mistakes = [
        draw.choice(others),
        " ".join(words[1:]),
        " ".join([*words, *draw.choice(others).split()[:2]]),
        f"The {answer.upper()}!",
        "",
    ]
    place = int(draw.random() / SHARE)
    return mistakes[place] if place < len(mistakes) else answer


def answers(root: Path) -> dict[str, Any]:
    """Exact match and F1 of answers, by the count of SQuAD 1.1."""
    gold = [row["answers"] for part in ("train", "test") for row in asked("xquad", part, root)[1]]
    draw, first = random.Random(SEED), [texts[0] for texts in gold]
    found = [disturbed(text, first, draw) for text in first]
    scores = squad(
        [{"id": str(i), "prediction_text": text} for i, text in enumerate(found)],
        [
            {"id": str(i), "answers": {"text": texts, "answer_start": [0] * len(texts)}}
            for i, texts in enumerate(gold)
        ],
    )
    return {
        "rows": len(gold),
        "ptbench": score((SquadV1,), found, gold),
        "torchmetrics": {
            "exact": scores["exact_match"].item() / 100,
            "f1": scores["f1"].item() / 100,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True, type=Path)
    root = parser.parse_args().data_root
    packages = ("conlleval", "seqeval", "torchmetrics")
    text = json.dumps(
        {
            "wnut17": entities(root),
            "xquad": answers(root),
            "packages": {name: version(name) for name in packages},
        },
        indent=1,
    )
    (Path(__file__).parent / "results" / "scorers.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
