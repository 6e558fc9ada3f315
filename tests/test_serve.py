"""Rows of many saved prompts in one pass equal separate runs; what cannot share is refused."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ptbench.answers import predict
from ptbench.checkpoints import CheckpointError
from ptbench.errors import ConfigError, DataError, PtbenchError
from ptbench.method import Adapted, forward
from ptbench.serve import Served
from ptbench.templates import Encoder
from tests.conftest import TINY
from tests.runs import composed
from tests.saved import PROMPTS, ROWS, put, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prompts")


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, Adapted]:
    """The models that were saved, each with a backbone of its own."""
    models = {name: put(folder / f"{name}.safetensors", *how) for name, how in PROMPTS.items()}
    for model in models.values():
        model.prompt.fold()  # in float64 an MLP gives other rows than those that were saved
    return models


@pytest.fixture
def all_of_them(folder: Path, alone: dict[str, Adapted]) -> Served:
    assert len(alone) == len(PROMPTS)
    return served(folder)


def features(model: Adapted, rows: list[Any]) -> tuple[Any, Encoder]:
    encoder, kind = Encoder(model.backbone.tokenizer, 64), model.kind
    return [kind.encode(kind.unlabelled(row), encoder, kind.template) for row in rows], encoder


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@torch.no_grad()
def test_logits_of_a_mixed_batch_equal_separate_runs(
    all_of_them: Served, alone: dict[str, Adapted], dtype: torch.dtype, bound: float
) -> None:
    models = [all_of_them.prompts[name].model.to(dtype) for name in PROMPTS]
    rows = [{"sentence": r["sentence"], "tokens": r["tokens"]} for r in ROWS[:: len(PROMPTS)]]
    batches = []
    for count, model in enumerate(models):  # batches of other lengths
        some, encoder = features(model, rows[count % 3 :])
        batches.append(model.kind.collate(some, encoder))
    mixed = forward(models, batches)
    for name, logits, batch in zip(PROMPTS, mixed, batches, strict=True):
        own = alone[name].to(dtype)
        torch.testing.assert_close(logits, own(batch), rtol=0, atol=bound)
        own.float()


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_predictions_equal_separate_runs_in_the_order_of_the_rows(
    all_of_them: Served, alone: dict[str, Adapted], batch_size: int
) -> None:
    found = all_of_them.predict(ROWS, batch_size)
    for name, model in alone.items():
        rows = [row for row in ROWS if row["prompt"] == name]
        expected = predict(model, *features(model, rows)[::-1], batch_size=8)
        answers = [model.kind.answer(e, row) for e, row in zip(expected, rows, strict=True)]
        assert [f for f, row in zip(found, ROWS, strict=True) if row["prompt"] == name] == answers
    labels = {label for answer in found for label in (answer if type(answer) is list else [answer])}
    assert len(labels) > 4, "the prompts tell the texts apart"


def test_one_pass_serves_rows_of_all_prompts(all_of_them: Served) -> None:
    passes: list[int] = []
    hook = all_of_them.backbone.register_forward_hook(lambda _, a, out: passes.append(len(out)))
    all_of_them.predict(ROWS, batch_size=len(ROWS))
    all_of_them.predict(ROWS, batch_size=10)
    hook.remove()
    assert passes == [18, 10, 8]


def test_labels_are_neither_needed_nor_looked_at(all_of_them: Served) -> None:
    hidden = [{**row, "label": -1, "ner_tags": None} for row in ROWS]
    assert all_of_them.predict(hidden) == all_of_them.predict(ROWS)


def test_words_beyond_the_length_limit_are_labelled_too(all_of_them: Served) -> None:
    (found,) = all_of_them.predict([{"prompt": "entities/prefix", "tokens": ["word"] * 40}])
    assert len(found) == 40
    assert found[-20:] == ["O"] * 20


def test_a_prompt_is_named_by_its_path_or_the_last_part_of_it(
    all_of_them: Served, tmp_path: Path
) -> None:
    rows = [{**row, "prompt": row["prompt"].rpartition("/")[2]} for row in ROWS]
    assert all_of_them.predict(rows) == all_of_them.predict(ROWS)
    for name in ("a", "b"):
        put(tmp_path / name / "v2.safetensors", *PROMPTS["sentiment/v2"])
    with pytest.raises(DataError, match="row 1: prompt 'v2' is one of a/v2, b/v2; say which"):
        served(tmp_path).predict([{"prompt": "v2", "sentence": "x"}])


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"sentence": "a"}, "column 'prompt' is missing; it has sentence"),
    ({"prompt": "prob", "sentence": "a"}, "prompt 'prob': no such file; did you mean 'probe'?"),
    ({"prompt": "entities/v2", "tokens": ["a"]}, "did you mean 'entities/v1'?"),
    ({"prompt": 7}, "prompt '7': no such file; known: front, one, prefix, probe, v1, v2"),
    ({"prompt": "v2", "text": "a"}, "column 'sentence' is missing; it has prompt, text"),
    ({"prompt": "v2", "sentence": " "}, "'sentence' is empty"),
    ({"prompt": "v2", "sentence": None}, "'sentence' is 'None', not a text"),
    ({"prompt": "prefix", "tokens": []}, "'tokens' is empty"),
    ({"prompt": "prefix", "tokens": "a b"}, "'tokens' is 'a b', not a list of words"),
]


@pytest.mark.parametrize(("row", "message"), FAULTS)
def test_a_wrong_row_is_named(all_of_them: Served, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match="row 2: .*" + re.escape(message)):
        all_of_them.predict([ROWS[0], row])


def test_a_batch_of_no_rows_is_refused(all_of_them: Served) -> None:
    assert all_of_them.predict([]) == []
    with pytest.raises(ConfigError, match="batch_size=0: must be 1 or more"):
        all_of_them.predict(ROWS, batch_size=0)


def test_a_text_beyond_the_position_table_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "long.safetensors", *PROMPTS["sentiment/v2"], "task.max_length=256")
    prompt = served(tmp_path)
    fits, beyond = ({"prompt": "long", "sentence": "a " * n} for n in (249, 250))
    assert len(prompt.predict([fits])) == 1
    with pytest.raises(DataError, match=r"row 1: .* 252 tokens .* table has 256 \(prompt length 5"):
        prompt.predict([beyond])


REFUSED = {
    "model.width=16": r"model\.width is 32 in the first and 16 in the second",
    "model.pooling=mean": r"model\.pooling is first in the first and mean in the second",
    "method=finetune": r"other\.safetensors: its backbone trained too \(fine-tuning\)",
    "method=ptuning_v1_tuned": r"its backbone trained too \(P-tuning v1, backbone tuned\)",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_cannot_share_a_backbone_is_refused(override: str, tmp_path: Path) -> None:
    first, other = tmp_path / "first.safetensors", tmp_path / "other.safetensors"
    put(first, *PROMPTS["sentiment/v2"])
    method = ("method=ptuning_v2",) if override.startswith("model") else ()
    put(other, "task=pocket_ner", *method, override)
    with pytest.raises(CheckpointError, match=REFUSED[override]):
        served(tmp_path)
    first.unlink()
    (found,) = served(tmp_path).predict([{"prompt": "other", "tokens": ["a", "b"]}])
    assert len(found) == 2, "alone it is served"


def test_a_folder_without_prompts_and_a_file_of_other_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no saved prompt \(\*\.safetensors\)"):
        served(tmp_path)
    file = tmp_path / "a.safetensors"
    put(file, *PROMPTS["sentiment/v2"])
    file.write_bytes(file.read_bytes().replace(b"prefix_length", b"prefix_lenght"))
    with pytest.raises(CheckpointError, match=r"a\.safetensors was .* did you mean 'prefix_length"):
        served(tmp_path)


LOCAL = (
    "model._target_=ptbench.models.Pretrained",
    "~model.package",
    "~model.sha256",
    "~model.install",
    "model.pooling=pooler",
)


def write_backbone(folder: Path) -> Path:
    """A checkpoint without a pooler, which each load draws anew."""
    backbone = TINY.load()
    backbone._lm_loader().save_pretrained(folder)  # pyright: ignore[reportOptionalCall]
    backbone.tokenizer.save_pretrained(folder)
    return folder


def test_prompts_with_random_poolers_of_their_own_share_a_local_backbone(tmp_path: Path) -> None:
    where = write_backbone(tmp_path / "backbone")
    local = (*LOCAL, f"model.name={where}", "model.lm_head=false")
    folder = tmp_path / "prompts"
    models = {
        name: put(folder / f"{name}.safetensors", *how, *local, seed=seed, model="minilm")
        for seed, (name, how) in enumerate(PROMPTS.items())
        if name.startswith("sentiment")
    }
    with pytest.raises(CheckpointError, match=r"local folder \(sha256:.*\); name .* --backbone"):
        served(folder)
    rows = [row for row in ROWS if row["prompt"] in models]
    found = served(folder, backbone=where).predict(rows)
    for name, model in models.items():
        mine = [row for row in rows if row["prompt"] == name]
        expected = predict(model, *features(model, mine)[::-1], batch_size=8)
        named = [model.kind.answer(e, row) for e, row in zip(expected, mine, strict=True)]
        assert [f for f, row in zip(found, rows, strict=True) if row["prompt"] == name] == named
    poolers = [model.backbone.model.pooler.dense.weight for model in models.values()]
    assert not torch.equal(poolers[0], poolers[1])
    shutil.rmtree(where)
    with pytest.raises(CheckpointError, match=r"belongs to .* sha256:\w+, and this one is sha256:"):
        served(folder, backbone=write_backbone(where))
    with pytest.raises(PtbenchError, match=r"nowhere"):
        served(folder, backbone=tmp_path / "nowhere")
    assert composed("model=minilm").model.name != str(where)
