"""Several data sets in one task: batches of one, a head each, scores of each and their mean."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from omegaconf import DictConfig
from torch import Tensor
from transformers.trainer_pt_utils import LengthGroupedSampler

from ptbench import multi_task
from ptbench.batches import Shuffled, by_length
from ptbench.cell import Cell, Result, encoded, train
from ptbench.data import Data
from ptbench.errors import ConfigError, DataError
from ptbench.inputs import IGNORE
from ptbench.kinds import Features, Multi
from ptbench.kinds.multi import Heads
from ptbench.listing import choices
from ptbench.method import Adapted
from ptbench.multi_task import MultiTask
from ptbench.run import build_cell
from ptbench.task import Task
from ptbench.templates import Encoded, Encoder
from ptbench.train import Job, Silent
from tests.conftest import TASKS, TINY
from tests.runs import built
from tests.saved import put, served

PARTS = ["labelling", "classification"]
ALL = Data(root=None, train_rows=None)
Compose = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The names of conftest's tasks, for which conf/ has no files, stand for them."""
    real = multi_task.chosen

    def chosen(group: str, name: str, base: type[Task]) -> Task:
        return TASKS[name](max_length=32) if name in TASKS else real(group, name, base)

    monkeypatch.setattr(multi_task, "chosen", chosen)


def features(lengths: dict[int, list[int]]) -> list[Features]:
    """Features of given lengths for each part, the parts in turn."""
    found = [
        Features(Encoded(ids=[7] * length), 0, part=part)
        for part, some in lengths.items()
        for length in some
    ]
    return found[::2] + found[1::2]


UNEVEN = {0: list(range(3, 40)), 1: [9] * 5, 4: list(range(20, 8, -1))}


def test_a_batch_never_mixes_data_sets_and_an_epoch_has_every_row_once() -> None:
    examples = features(UNEVEN)
    batches = Shuffled(examples, size=4, seed=3)
    epochs = [list(batches) for _ in range(2)]
    for epoch in (*epochs, list(by_length(examples, 4))):
        assert sorted(place for batch in epoch for place in batch) == list(range(len(examples)))
        assert all(len({examples[place].part for place in batch}) == 1 for batch in epoch)
        turns = Counter(examples[batch[0]].part for batch in epoch)
        assert turns == {0: 10, 1: 2, 4: 3}, "as many batches as its rows fill"
    assert len(batches) == 15
    assert epochs[0] != epochs[1]
    assert epochs == [list(other) for other in [Shuffled(examples, 4, 3)] * 2]
    turns = [examples[batch[0]].part for batch in epochs[0]]
    assert turns != sorted(turns), "data sets take turns"


def test_a_single_data_set_has_the_order_that_its_lengths_and_seed_give() -> None:
    examples = features({0: UNEVEN[0]})
    order = torch.Generator().manual_seed(3)
    sampler = LengthGroupedSampler(4, lengths=[len(f) for f in examples], generator=order)
    batches = Shuffled(examples, 4, 3)
    for _ in range(2):
        assert [place for batch in batches for place in batch] == list(sampler)


@pytest.fixture
def cell(composed: Compose) -> Callable[..., Cell]:
    """A short cell on tiny: `cell(task, *overrides)`."""
    steps = ("train.epochs=3", "train.batch_size=8", "train.learning_rate=1e-2")

    def make(task: Task, *overrides: str) -> Cell:
        config = composed("method=ptuning_v2", "model=tiny", *steps, *overrides)
        return replace(build_cell(config), task=task)

    return make


def job_of(cell: Cell) -> Job:
    torch.manual_seed(0)
    model = cell.method.adapt(cell.model.load(), cell.task.asks)
    encoder = Encoder(model.backbone.tokenizer, cell.task.max_length)
    parts = encoded(model, encoder, cell.task.splits(cell.data, cell.protocol))
    return Job(model, encoder, *parts[:2], cell.training, cell.seed, Accelerator(cpu=True))


def heads(model: Adapted) -> list[Tensor]:
    """The classifier of each part."""
    assert isinstance(model.head, Heads)
    parts: Any = model.head.parts
    return [parts[name].classifier.weight for name in PARTS]


def test_a_head_learns_from_the_rows_of_its_own_data_set_alone(cell: Callable[..., Cell]) -> None:
    job = job_of(cell(MultiTask(512, PARTS), "train.weight_decay=0.1"))
    model = job.model
    seen: set[int] = set()
    for _ in range(8):
        (part,) = job.next_batch()
        before = [weight.clone() for weight in heads(model)]
        table = model.trained_state()["prompt.encoder.embedding.weight"]
        (model.kind.loss(model(part.batch), part.batch) * part.factor).backward()
        has = [weight.grad is not None for weight in heads(model)]
        assert has == [number == part.batch.part for number in range(2)]
        job.update()
        moved = [not torch.equal(*both) for both in zip(before, heads(model), strict=True)]
        assert moved == has, "neither momentum nor decay moves the other head"
        assert not torch.equal(table, model.trained_state()["prompt.encoder.embedding.weight"])
        seen.add(part.batch.part)
    assert seen == {0, 1}


@pytest.mark.parametrize("name", [*PARTS, "choice", "span"])
def test_one_part_alone_trains_as_the_task_itself(name: str, cell: Callable[..., Cell]) -> None:
    def result(task: Task) -> Result:
        return train(cell(task), lambda job: Silent())

    single, multi = result(TASKS[name](max_length=32)), result(MultiTask(512, [name]))
    assert multi.facts["curve"] == single.facts["curve"]
    assert multi.facts["rows"] == single.facts["rows"]
    (scores,), (several,) = single.facts["scores"].values(), multi.facts["scores"].values()
    main = single.facts["selection"]["metric"]
    assert several == {"mean": scores[main]} | {f"{name}/{k}": v for k, v in scores.items()}
    state = single.model.trained_state()
    for key, tensor in multi.model.trained_state().items():
        assert torch.equal(tensor, state[key.replace(f"head.parts.{name}.", "head.")]), key


def test_parts_keep_their_splits_and_what_they_hold_out(cell: Callable[..., Cell]) -> None:
    task = MultiTask(512, PARTS)
    protocol = cell(task).protocol
    found = task.splits(replace(ALL, train_rows=12), protocol)
    for name, member in task.members.items():
        own = member.splits(replace(ALL, train_rows=12), protocol)
        for part in ("train", "select", "report"):
            rows = [row for row in getattr(found, part) if row["task"] == name]
            assert rows == [{**row, "task": name} for row in getattr(own, part)], part
        assert len(own.train) == 12
    assert (found.select_name, found.report_name) == ("held out", "test")


def test_each_part_is_cut_at_its_own_limit_and_at_that_of_all() -> None:
    kinds = {name: TASKS[name].kind for name in PARTS}
    kind = Multi(parts=kinds, limits={"labelling": 8, "classification": 12})
    tokens = ["aa"] * 30
    rows = {
        "labelling": {"task": "labelling", "tokens": tokens, "ner_tags": [0] * 30},
        "classification": {"task": "classification", "text": " ".join(tokens), "label": 1},
    }
    tokenizer = TINY.load().tokenizer
    for limit, expected in ((512, [8, 12]), (10, [8, 10])):
        encoder = Encoder(tokenizer, limit)
        found = [kind.encode(rows[name], encoder, kind.template) for name in PARTS]
        assert [len(one) for one in found] == expected
        assert [one.part for one in found] == [0, 1]
        assert kind.reach(found) == max(expected)
        assert kind.collate(found[1:], encoder).part == 1
    with pytest.raises(ValueError, match="unpack"):
        kind.collate(found, encoder)
    with pytest.raises(DataError, match=r"leaves no room .* raise task.max_length"):
        kind.check_room(Encoder(tokenizer, 2))


def test_scores_are_of_each_data_set_and_the_mean_of_their_main_ones() -> None:
    kinds = {name: TASKS[name].kind for name in PARTS}
    kind = Multi(parts=kinds, limits=dict.fromkeys(PARTS, 32))
    # labelling: 2 gold, 3 predicted, 1 right: P 1/3, R 1/2, F1 2/5; classification: 3 of 4
    references = [
        ("classification", 1),
        ("labelling", ["B-X", "O"]),
        ("classification", 0),
        ("classification", 0),
        ("labelling", ["O", "B-X"]),
        ("classification", 0),
    ]
    predictions = [1, ["B-X", "B-X"], 0, 1, ["B-X", "O"], 0]
    assert kind.score(predictions, references) == pytest.approx(
        {
            "mean": (2 / 5 + 3 / 4) / 2,
            "labelling/f1": 2 / 5,
            "labelling/precision": 1 / 3,
            "labelling/recall": 1 / 2,
            "classification/accuracy": 3 / 4,
        }
    )
    floor = kind.floor(references)
    assert (floor["mean"], floor["classification/accuracy"], floor["labelling/f1"]) == (
        0.375,
        0.75,
        0.0,
    )
    drawn = kind.random_floor(references)
    expected = kinds["classification"].random_floor([1, 0, 0, 0])["accuracy"]
    assert drawn["classification/accuracy"] == expected == pytest.approx(10 / 16)
    assert drawn["mean"] == (expected + drawn["labelling/f1"]) / 2


@pytest.mark.parametrize("method", choices("method"))
def test_every_method_has_a_head_for_each_part(method: str, cell: Callable[..., Cell]) -> None:
    some = cell(MultiTask(512, ["pocket_sentiment", "pocket_ner"]), f"method={method}")
    data = replace(some.data, train_rows=8)
    model = some.method.adapt(some.model.load(), some.task.asks)
    encoder = Encoder(model.backbone.tokenizer, 512)
    kind = model.kind
    assert isinstance(kind, Multi)
    rows = some.task.splits(data, some.protocol).train
    for number, name in enumerate(kind.parts):
        features = [kind.encode(r, encoder, kind.template) for r in rows if r["task"] == name]
        batch = kind.collate(features, encoder)
        logits = model(batch)
        assert logits.shape[-1] == len(kind.parts[name].labels)
        (kind.loss(logits, batch) / (batch.targets != IGNORE).sum()).backward()
        assert batch.part == number
        assert int(batch.slots.max()) < (model.prompt.encoder.length if model.prompt.encoder else 1)
    assert all(p.grad is not None for p in model.head.parameters())


WRONG = {
    "[]": r"task.parts=\[\]: name one task or more, each once",
    "[rte,rte]": r"task.parts=\['rte', 'rte'\]: name one task or more, each once",
    "[wnut71]": r"task=wnut71: there is no such file in task; did you mean 'wnut17'\?",
    "[wnut17,multi_words]": r"multi_words is made of several itself; name its parts",
}


@pytest.mark.parametrize("parts", WRONG)
def test_parts_that_cannot_be_are_refused_by_name(parts: str) -> None:
    with pytest.raises(ConfigError, match=WRONG[parts]):
        built("task=multi_words", f"task.parts={parts}", "model=tiny")


def test_a_part_without_a_head_of_its_own_is_refused() -> None:
    kind = built("task=multi_words", "task.parts=[wnut17,lama]", "model=tiny").task.asks
    backbone = TINY.load()
    with pytest.raises(ConfigError, match=r"lama is answered by the backbone's own LM head.*leave"):
        kind.fitted(backbone).head(backbone)


def test_the_identity_names_settings_and_rows_of_each_part(tmp_path: Path) -> None:
    cell = built("task=multi_words", "task.parts=[pocket_ner,wnut17]", f"data.root={os.devnull}")
    assert list(cell.task.members) == ["pocket_ner", "wnut17"]
    with pytest.raises(DataError, match="wnut17"):
        cell.task.identity(cell.data)
    cell = built("task=multi_words", "task.parts=[pocket_ner,wnut17]")
    pocket, wnut = cell.task.identity(cell.data).split("; ")
    assert pocket.startswith("pocket_ner {'max_length': 64, 'train': 1000,")
    assert wnut == "wnut17 {'max_length': 128} leondz/wnut_17/wnut_17@refs/convert/parquet"


def test_one_saved_prompt_answers_rows_of_all_its_data_sets(tmp_path: Path) -> None:
    both = "task.parts=[pocket_sentiment,pocket_ner]"
    put(tmp_path / "multi.safetensors", "method=ptuning_v2", "task=multi_words", both)
    rows = [
        {"task": "pocket_ner", "tokens": ["Jordan", "flew", "home"]},
        {"task": "pocket_sentiment", "sentence": "no"},
        {"task": "pocket_ner", "tokens": ["no"]},
    ]
    prompts = served(tmp_path)
    asked = [{"prompt": "multi", **row} for row in rows]
    found = prompts.predict(asked)
    assert found == [prompts.predict([row])[0] for row in asked]
    assert [len(found[0]), len(found[2])] == [3, 1]
    assert found[1] in ("negative", "positive")
    with pytest.raises(DataError, match=r"row 1: 'task' is 'pocket_nre'; did you mean 'pocket_ner"):
        prompts.predict([{**asked[0], "task": "pocket_nre"}])
    with pytest.raises(DataError, match=r"row 1: column 'task' is missing"):
        prompts.predict([{"prompt": "multi", "tokens": ["no"]}])
