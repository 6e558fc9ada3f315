"""COPA and WSC by several masks, against loops over transformers' own models, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from ptbench.answers import predict
from ptbench.backbones import Backbone
from ptbench.build import chosen, deciding
from ptbench.cell import train
from ptbench.data_show import marked
from ptbench.errors import ConfigError
from ptbench.filling import fill
from ptbench.inputs import IGNORE
from ptbench.job import Silent
from ptbench.kinds import Example, Features, Kind
from ptbench.kinds.masks import SPARE, FilledChoice, names, places
from ptbench.method import Adapted
from ptbench.models import Random
from ptbench.task import Task
from ptbench.templates import Encoder
from tasks.copa import connected
from tasks.wsc import marked as asterisks
from tests.runs import built, write_rows

Row = dict[str, Any]
COPA: list[Row] = [
    {"premise": "ab.", "choice1": "Cd.", "choice2": "E!", "question": "cause", "label": 1},
    {"premise": "b", "choice1": "a", "choice2": "c d ef", "question": "effect", "label": 0},
    {"premise": "e d c", "choice1": "dada", "choice2": "b c", "question": "effect", "label": 1},
]
WSC: list[Row] = [
    {"text": "ab saw c as it hid", "span1_text": "ab", "span2_text": "it", "label": 1},
    {"text": "d e f saw it hid", "span1_text": "d e f", "span2_text": "it", "label": 0},
    {"text": "cab fed it", "span1_text": "cab", "span2_text": "it", "label": 1},
]
for row in WSC:
    row["span2_index"] = row["text"].split().index("it")
ROWS = {"copa": [connected(row) for row in COPA], "wsc": [asterisks(row) for row in WSC]}
EITHER = pytest.mark.parametrize("name", ROWS)


def asked(name: str) -> Kind:
    return chosen("task", name, Task, ["task.masks=true"]).asks


@pytest.fixture
def encoder(tiny: Random) -> Encoder:
    """A letter is a token."""
    return Encoder(tiny.load().tokenizer, 128)


def read(kind: Kind, rows: Sequence[Example], encoder: Encoder) -> list[Features]:
    return [kind.encode(row, encoder, kind.template) for row in rows]


def test_copa_by_hand(encoder: Encoder) -> None:
    kind = asked("copa").patterned(2)
    (features,) = read(kind, ROWS["copa"][:1], encoder)
    told = encoder.tokenizer.convert_ids_to_tokens
    assert " ".join(told(features.encoded.ids)) == (
        "[CLS] c ##d o ##r e ? a ##b b ##e ##c ##a ##u ##s ##e [UNK] [UNK] [MASK] [MASK] . [SEP]"
    )
    assert features.encoded.slots[16:19] == [0, 1, -1]
    assert [told(ids) for ids in features.pieces] == [["c", "##d"], ["e"]]
    assert {18: "c, e", 19: "##d"}.items() <= marked(kind, features, encoder)[0].items()
    batch = kind.collate([features], encoder)
    assert places(batch).tolist() == [[18, 19]]
    assert batch.targets.tolist() == [[1]]
    (c, d), (e,) = features.pieces
    words = len(encoder.tokenizer)  # pyright: ignore[reportArgumentType]
    logits = torch.zeros(1, 2, words)
    logits[0, 0, c], logits[0, 1, d] = 1.0, 2.0
    rest = words - 1
    one = log(exp(1) + rest) - 1
    right, wrong = log(exp(1) + rest), (one + log(exp(2) + rest) - 2) / 2
    assert kind.loss(logits, batch).item() == pytest.approx(1 + right - wrong)
    assert kind.loss(logits * 9, replace(batch, targets=torch.tensor([[0]]))).item() == 0
    assert e != c


def test_wsc_by_hand(encoder: Encoder) -> None:
    kind = asked("wsc").patterned(1)
    (features,) = read(kind, [{**ROWS["wsc"][0], SPARE: 2}], encoder)
    told = encoder.tokenizer.convert_ids_to_tokens
    assert " ".join(told(features.encoded.ids)) == (
        "[CLS] [UNK] a ##b s ##a ##w c a ##s * i ##t * h ##i ##d [UNK] "
        "p ##r ##o ##n ##o ##u ##n ' * i ##t * ' r ##e ##f ##e ##r ##s t ##o "
        "[MASK] [MASK] [MASK] [MASK] . [SEP]"
    )
    assert told(features.targets) == ["a", "##b", "[PAD]", "[PAD]"]
    batch = kind.collate([features], encoder)
    words = len(encoder.tokenizer)  # pyright: ignore[reportArgumentType]
    logits = torch.zeros(1, 4, words)
    logits[0, 1, features.targets[1]] = 3.0
    loss = 3 * log(words) + log(exp(3) + words - 1) - 3
    assert kind.loss(logits, batch).item() == pytest.approx(loss)
    (found,) = read(kind, [kind.unlabelled(ROWS["wsc"][0])], encoder)
    assert told(found.targets) == ["a", "##b", "[PAD]"]


@pytest.mark.parametrize(
    ("text", "noun", "same"),
    [
        ("ab", "The AB", True),  # all it says is in the noun
        ("the old ab", "old ab", True),  # or all the noun says in it
        ("the old", "the ab", False),
        ("ab-cd.", "cd, ab", True),  # words are of letters alone
        ("abcd", "ab", False),  # a word within a word is another
        ("7 !", "ab", True),  # no word at all contradicts nothing, as in the authors' code
    ],
)
def test_a_noun_is_named_by_its_words(text: str, noun: str, same: bool) -> None:
    assert names(text, noun) is same


def test_wsc_trains_on_what_is_meant_with_masks_to_spare() -> None:
    kind = asked("wsc")
    trained = kind.for_training(ROWS["wsc"] * 20)
    assert [row["label"] for row in trained] == [1] * 40
    assert {row[SPARE] for row in trained} == {0, 1, 2, 3}
    assert trained == kind.for_training(ROWS["wsc"] * 20)
    told = kind.for_evaluation([*ROWS["wsc"], *trained[:9]])
    assert [row[SPARE] for row in told] == [1] * 12


@pytest.fixture(params=["bert", "roberta", "albert"])
def backbone(build_backbone: Callable[..., Backbone], request: pytest.FixtureRequest) -> Backbone:
    """With its LM head, of weights so large that its answers differ; positions of each sort."""
    backbone = build_backbone(request.param, vocab_size=200)
    whole = transformers.AutoModelForMaskedLM.from_config(backbone.model.config).double().eval()
    backbone._lm_loader = lambda: whole
    return backbone


def adapted(name: str, backbone: Backbone) -> Adapted:
    method = built(f"task=fewglue_{name}", "model=tiny", "method=ptuning_v1_tuned").method
    torch.manual_seed(1)
    return method.adapt(backbone, asked(name)).double().eval()


def logits_of(model: Adapted, ids: list[int], slots: list[int]) -> Tensor:
    """What transformers' own model gives for one row without padding: a vector for each token."""
    backbone, rows = model.backbone, model.prompt.encoder
    assert rows is not None
    embeds = backbone.words(torch.tensor(ids))
    for place, slot in enumerate(slots):
        if slot >= 0:
            embeds[place] = rows()[slot]
    with backbone.lm_head.around(backbone.model) as itself:
        return itself(inputs_embeds=embeds[None]).logits[0]


def filled(
    model: Adapted, ids: list[int], slots: list[int], gold: dict[int, int] | None
) -> tuple[list[int], float]:
    """One row filled in a plain loop; `gold` says what stands at each mask."""
    ids, total = list(ids), 0.0
    left = {
        place for place, token in enumerate(ids) if token == model.backbone.tokenizer.mask_token_id
    }
    while left:
        odds = logits_of(model, ids, slots).log_softmax(-1)
        best = {place: int(odds[place].argmax()) for place in left} if gold is None else gold
        place = max(left, key=lambda p: float(odds[p, best[p]]))
        total += float(odds[place, best[place]])
        ids[place] = best[place]
        left.remove(place)
    return ids, total


@torch.no_grad()
def test_copas_choice_is_the_one_whose_pieces_are_likelier(backbone: Backbone) -> None:
    model, encoder = adapted("copa", backbone), Encoder(backbone.tokenizer, 128)
    features = read(model.kind, ROWS["copa"], encoder)
    expected: list[list[float]] = []
    for one in features:
        scores = []
        for pieces in one.pieces:
            masks = max(map(len, one.pieces))
            first, after = one.encoded.answer, one.encoded.answer + masks
            ids = one.encoded.ids[:first] + [encoder.mask] * len(pieces) + one.encoded.ids[after:]
            slots = one.encoded.slots[:first] + [-1] * len(pieces) + one.encoded.slots[after:]
            gold = {first + number: token for number, token in enumerate(pieces)}
            scores.append(filled(model, ids, slots, gold)[1])
        expected.append(scores)
    assert isinstance(model.kind, FilledChoice)
    batch = model.kind.collate(features, encoder)
    found = model.kind.odds(backbone, model.prompt(batch, backbone), batch)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)
    answers = [int(second > first) for first, second in expected]
    assert predict(model, encoder, features, 3) == answers
    assert predict(model, encoder, features, 1) == answers


@torch.no_grad()
def test_masks_are_filled_by_the_surest_first(backbone: Backbone) -> None:
    model, encoder = adapted("wsc", backbone), Encoder(backbone.tokenizer, 128)
    features = read(model.kind, ROWS["wsc"], encoder)
    batch = model.kind.collate(features, encoder)
    inputs = model.prompt(batch, backbone)
    found, total = fill(backbone, inputs, places(batch), batch.targets != IGNORE)
    expected = [filled(model, one.encoded.ids, one.encoded.slots, None) for one in features]
    for one, ids, odds, (whole, theirs) in zip(features, found, total, expected, strict=True):
        first, masks = one.encoded.answer, len(one.targets)
        assert ids[:masks].tolist() == whole[first : first + masks]
        assert odds.item() == pytest.approx(theirs, rel=1e-5)
    texts = [
        encoder.tokenizer.decode(
            ids[one.encoded.answer : one.encoded.answer + len(one.targets)],
            skip_special_tokens=True,
        )
        for one, (ids, _) in zip(features, expected, strict=True)
    ]
    answers = [int(names(t, r["span1_text"])) for t, r in zip(texts, ROWS["wsc"], strict=True)]  # pyright: ignore[reportArgumentType]
    assert predict(model, encoder, features, 3) == answers


@torch.no_grad()
def test_the_losses_are_those_of_transformers_own_logits(backbone: Backbone) -> None:
    encoder = Encoder(backbone.tokenizer, 128)
    for name, rows in ROWS.items():
        model, expected = adapted(name, backbone), 0.0
        features = read(model.kind, rows, encoder)
        for one in features:
            logits = logits_of(model, one.encoded.ids, one.encoded.slots)
            at = logits[one.encoded.answer :]
            if name == "wsc":
                wanted = torch.tensor(one.targets)
                expected += F.cross_entropy(at[: len(wanted)], wanted, reduction="sum").item()
                continue
            costs = [F.cross_entropy(at[: len(p)], torch.tensor(p)).item() for p in one.pieces]
            (label,) = one.targets
            expected += max(0.0, 1 + costs[label] - costs[1 - label])
        batch = model.kind.collate(features, encoder)
        assert expected > 0
        assert model.kind.loss(model(batch), batch).item() == pytest.approx(expected)


def local(folder: Path, name: str) -> str:
    for file in (f"fewglue/{name}/train32", f"fewglue/{name}/dev32", f"{name}/validation"):
        write_rows(folder / f"{file}.jsonl", COPA if name == "copa" else WSC)
    return f"data.root={folder}"


@EITHER
def test_p_tuning_v1_trains_and_is_scored(name: str, tmp_path: Path) -> None:
    cell = built(
        *(f"task=fewglue_{name}", "model=tiny", "method=ptuning_v1_tuned", local(tmp_path, name)),
        *("protocol=fair", "train.epochs=20", "train.batch_size=3", "train.learning_rate=1e-2"),
    )
    found = train(cell, lambda _: Silent())
    losses = [point["loss"] for point in found.facts["curve"]]
    assert losses[-1] < losses[0] / 2
    assert found.facts["rows"]["train"] == (3 if name == "copa" else 2)
    assert found.facts["adaptation"]["head"] == "LM head"
    assert set(found.predictions.found) <= {0, 1}
    assert found.predictions.references == [row["label"] for row in ROWS[name]]
    if name == "copa":  # all rows were trained on
        assert found.facts["scores"]["validation"] == {"accuracy": 1}


@EITHER
@pytest.mark.parametrize("method", ["finetune", "ptuning_v2"])
def test_other_methods_read_and_answer_as_ever(name: str, method: str, encoder: Encoder) -> None:
    cell = built(f"task=fewglue_{name}", "model=tiny", f"method={method}")
    plain = chosen("task", name, Task).asks
    model = cell.method.adapt(cell.model.load(), cell.task.asks)
    assert (model.head.name, model.kind.writes) == ("linear", False)
    assert read(model.kind, ROWS[name], encoder) == read(plain, ROWS[name], encoder)


@EITHER
def test_a_backbone_that_fills_no_masks_is_refused(name: str, tiny: Random) -> None:
    cell = built(f"task=fewglue_{name}", "model=tiny", "method=ptuning_v1_tuned")
    backbone = tiny.load()
    backbone._lm_loader = None
    with pytest.raises(ConfigError, match=r"task\.masks=true: .* set task\.masks=false"):
        cell.method.adapt(backbone, cell.task.asks)
    cell.method.adapt(backbone, replace(cell.task, masks=False).asks)


@EITHER
def test_records_without_masks_keep_their_hash_and_no_other_has_it(name: str) -> None:
    for task in (
        chosen("task", name, Task),
        replace(chosen("task", f"fewglue_{name}", Task), masks=False),
    ):
        assert "masks" not in deciding(vars(task), task)
        with_masks = replace(task, masks=True)
        assert deciding(vars(with_masks), with_masks)["masks"] is True


def test_only_copa_and_wsc_have_masks() -> None:
    task = chosen("task", "fewglue_boolq", Task, ["task.masks=true"])
    with pytest.raises(ConfigError, match=r"task\.masks: no such setting of BoolQ"):
        task.asks  # noqa: B018  # asking is what fails
