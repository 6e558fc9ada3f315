"""Tiny backbones, composed configs and made-up tasks, for every test."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
import transformers
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import ptbench.run  # noqa: F401  # registers the resolver that conf/ uses
from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.data import Made, Row, Source
from ptbench.kinds import Choice, Classification, Cloze, Kind, Labelling, Span, bio
from ptbench.models import Random
from ptbench.paths import CONF
from ptbench.task import Task
from tests.families import FAMILIES

TINY = Random(Pooling.first, lm_head=True, width=32, layers=2, heads=4, positions=256)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Many processes share the cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> Random:
    """The backbone of conf/model/tiny.yaml, not loaded yet."""
    return TINY


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family of backbones that the suite supports."""
    return request.param


@pytest.fixture(scope="session")
def build_backbone() -> Callable[..., Backbone]:
    """A random backbone of a family in float64: `build_backbone(family, attention, **config)`."""

    tokenizer = TINY.load().tokenizer

    def build(family: str, attention: str = "sdpa", **changes: Any) -> Backbone:
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(
            family, **{**FAMILIES[family], **changes}, attn_implementation=NAMES[attention]
        )
        model = transformers.AutoModel.from_config(config).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return Backbone(model, tokenizer, Pooling.first, None).eval()

    return build


@pytest.fixture(scope="session")
def composed() -> Iterator[Callable[..., DictConfig]]:
    """conf/ composed with overrides: `composed("method=finetune", "model=tiny")`."""

    def make(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", list(overrides), return_hydra_config=True)

    return make


def sentences(split: str, rows: int, seed: int) -> list[Row]:
    """Made-up words: a quarter of the rows have an x, `label` says so, `ner_tags` says where.

    `answers` says where as SQuAD does; of `choices` the one with an x is `right`.
    """
    draw = random.Random(f"{split} {seed}")
    found: list[Row] = []
    for number in range(rows):
        tokens = ["".join(draw.choices("abcde", k=2)) for _ in range(draw.randint(2, 6))]
        label = int(number % 4 == 0)
        if label:
            tokens[draw.randrange(len(tokens))] = "x"
        tags = [int(token == "x") for token in tokens]
        text, right = " ".join(tokens), number % 3
        answers = {"text": ["x"] * label, "answer_start": [text.find("x")] * label}
        choices = [tokens[0], tokens[-1], "e", "d"][: 3 + number % 2]
        choices[right] = "x" * 9  # so plain that any method finds it in a few steps
        row = {"tokens": tokens, "text": text, "label": label, "ner_tags": tags}
        row |= {"context": text, "question": "x ?", "answers": answers}
        found.append(row | {"choices": choices, "right": right})
    return found


PATTERN = "{text} [P] is [P] [MASK]"
PLAIN = Classification(labels=("no", "yes"), text="{text}", pattern=PATTERN)
KINDS: dict[str, Kind] = {
    "classification": PLAIN,
    "labelling": Labelling(labels=bio("X")),
    "choice": Choice(
        labels=("first", "second", "third", "fourth"),
        text="{text}[SEP]{choice}",
        pattern="[P] {text} [P][SEP]{choice}",
        target="right",
        choices=("choices",),
    ),
    "span": Span(null_threshold=0.0),
    "cloze": Cloze(labels=PLAIN.labels, text="{text} is [MASK]", pattern=PATTERN, words=("n", "y")),
}


@dataclass(frozen=True)
class Sentences(Task):
    """The made-up words as a task; subclasses name the kind."""

    source: ClassVar[Source] = Made(sentences, {"train": 40, "test": 8}, seed=0, files=())


TASKS = {name: type(name, (Sentences,), {"kind": kind}) for name, kind in KINDS.items()}


@pytest.fixture(scope="session", params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    """The made-up sentences as each kind of task."""
    return TASKS[request.param](max_length=32)


@pytest.fixture(scope="session")
def tasks() -> dict[str, Task]:
    """The made-up sentences as tasks, by kind."""
    return {name: task(max_length=32) for name, task in TASKS.items()}
