"""What is wrong in a command, a config or a data file is named, with the remedy."""

import json
import re
from pathlib import Path

import pytest
import torch

from ptbench import train
from ptbench.errors import BackboneError, ConfigError, DataError, Diverged, PtbenchError
from tests.runs import Bench, built, write_rows

SST2 = ("model=tiny", "task=sst2")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


COMMANDS = {
    "method=ptuning_v3": "method=ptuning_v3: there is no such file in method; "
    "did you mean 'ptuning_v2'? (`ptbench list method`)",
    "task=ssst2": "task=ssst2: there is no such file in task; "
    "did you mean 'sst2'? (`ptbench list task`)",
    "model=tinny": "model=tinny: there is no such file in model; "
    "did you mean 'tiny'? (`ptbench list model`)",
    "sweeps=first_tabel": "sweeps=first_tabel: there is no such file in sweeps; "
    "did you mean 'first_table'? (`ptbench list sweeps`)",
    "method.prefix_lenght=3": "method.prefix_lenght: no such setting; "
    "did you mean 'prefix_length'?",
    "train.learnig_rate=3": "train.learnig_rate: no such setting; did you mean 'learning_rate'?",
}


@pytest.mark.parametrize("override", COMMANDS)
def test_the_command_says_in_one_line_what_there_is_instead(bench: Bench, override: str) -> None:
    assert bench.command(override) == 1
    (said,) = bench.log().splitlines()
    assert COMMANDS[override] in said


SETTINGS = {
    "+method.prefix_lenght=3": "method.prefix_lenght: no such setting of PTuningV2; "
    "did you mean 'prefix_length'?",
    "~method.dropout": "method.dropout of PTuningV2 has no value; set it",
    "method.prefix_length=abc": "method.prefix_length='abc' is not of type int: ",
    "train.epochs=1.5": "train.epochs=1.5 is not of type int: ",
    "train.schedule=cosine": "expected one of [linear, exponential, constant]",
    "data.train_rows=many": "data.train_rows='many' is not of type int | None: ",
    "train=5": "train=5: one value in place of a group; set train.<key>=",
    "seed=abc": "seed='abc' is not a whole number of 0 or more",
    "seed=-1": "seed=-1 is not a whole number of 0 or more",
    "train.epochs=0": "train.epochs=0: must be 1 or more",
    "train.batch_size=-3": "train.batch_size=-3: must be 1 or more",
    "train.learning_rate=-1": "train.learning_rate=-1: must be above 0",
    "train.warmup=2": "train.warmup=2: a share of all steps, from 0 to 1",
    "model.attention=flash_attention_2": "model.attention=flash_attention_2: flash attention takes "
    "no mask but that of padding, and prompts need one of their own; set model.attention=sdpa",
    "model.attention=flex_attention": "model.attention=flex_attention: flex attention has no "
    "attention dropout and, on CPUs, no backward pass; set model.attention=sdpa",
    "model.attention=spda": "model.attention=spda: no such attention; did you mean 'sdpa'?",
    "method._target_=methods.nope.Nope": "method._target_=methods.nope.Nope cannot be imported: "
    "No module named 'methods.nope'",
    "method._target_=tasks.sst2.SST2": "method._target_=tasks.sst2.SST2 is not a Method",
}


@pytest.mark.parametrize("override", SETTINGS)
def test_a_wrong_setting_is_named_before_anything_runs(override: str) -> None:
    model = ("model=minilm",) if override.startswith("model.") else ()
    with pytest.raises(ConfigError, match=re.escape(SETTINGS[override])):
        built(*SST2, *model, override)


def refuse_splits(message: str, *overrides: str) -> None:
    cell = built("model=tiny", *overrides)
    with pytest.raises(DataError, match=re.escape(message)):
        cell.task.splits(cell.data, cell.protocol)


def test_a_data_root_without_the_folder_names_what_is_there(bench: Bench) -> None:
    refuse_splits(
        f"data.root={bench.data} has no folder 'rte' (known: sst2); "
        "give another data.root, or none to read the hub",
        "task=rte",
        f"data.root={bench.data}",
    )


def test_a_data_root_that_does_not_exist(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    refuse_splits(
        f"data.root={root} has no folder 'sst2' (that folder does not exist)",
        "task=sst2",
        f"data.root={root}",
    )


def test_a_missing_split_names_those_that_are_there(bench: Bench) -> None:
    file = bench.data / "sst2" / "validation.jsonl"
    file.unlink()
    refuse_splits(f"{file} is missing; splits here: train", "task=sst2", f"data.root={bench.data}")


GOOD = '{"sentence": "fine", "label": 1}\n'
LINES = {
    '{"sentence": "cut o\n': "train.jsonl, line 3: not JSON (",
    "[1, 2]\n": "train.jsonl, line 3: a row must be an object, got [1, 2]",
    '{"sentence": "a", "label": 7}\n': "SST2, split 'train', row 3: label 7 in 'label' is unknown; "
    "the task has 0 negative, 1 positive",
    '{"sentence": "a", "label": "meh"}\n': "row 3: label 'meh' in 'label' is unknown; "
    "the task has 0 negative, 1 positive",
    '{"sentence": "a", "label": null}\n': "row 3: label None in 'label' is unknown",
    '{"sentence": "  ", "label": 1}\n': "SST2, split 'train', row 3: 'sentence' is empty; "
    "drop the row or give it a text",
    '{"text": "a", "label": 1}\n': "row 3: column 'sentence' is missing; it has text, label",
    '{"sentence": 5, "label": 1}\n': "row 3: 'sentence' is '5', not a text",
    '{"sentence": ["a"], "label": 1}\n': "row 3: 'sentence' is \"['a']\", not a text",
}


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line_is_named_by_split_and_number(bench: Bench, line: str) -> None:
    (bench.data / "sst2" / "train.jsonl").write_text(GOOD * 2 + line, encoding="utf-8")
    refuse_splits(LINES[line], "task=sst2", f"data.root={bench.data}")


def test_an_empty_split_is_named(bench: Bench) -> None:
    (bench.data / "sst2" / "train.jsonl").write_text("")
    refuse_splits("SST2, split 'train' has no rows", "task=sst2", f"data.root={bench.data}")


TOKENS = {
    "2 words, but 1 labels in 'ner_tags'": {"tokens": ["a", "b"], "ner_tags": [0]},
    "'tokens' is empty": {"tokens": [], "ner_tags": []},
    "'tokens' is 'a b', not a list of words": {"tokens": "a b", "ner_tags": [0, 0, 0]},
    "'tokens' is \"['a', 3]\", not a list of words": {"tokens": ["a", 3], "ner_tags": [0, 0]},
    "label 99 in 'ner_tags' is unknown; the task has 0 O, 1 B-corporation": {
        "tokens": ["a"],
        "ner_tags": [99],
    },
}


@pytest.mark.parametrize("message", TOKENS)
def test_a_wrong_row_of_words_and_labels(tmp_path: Path, message: str) -> None:
    good = {"tokens": ["a"], "ner_tags": [0]}
    write_rows(tmp_path / "wnut17" / "train.jsonl", [good, TOKENS[message]])
    where = f"WNUT17, split 'train', row 2: {message}"
    refuse_splits(where, "task=wnut17", f"data.root={tmp_path}")


def test_too_few_rows_to_hold_some_out(bench: Bench) -> None:
    root = f"data.root={bench.data}"
    refuse_splits("data.train_rows=0: must be 1 or more", "task=sst2", root, "data.train_rows=0")
    message = "train has 1 rows: too few to hold a share of 0.25 out"
    refuse_splits(message, "task=sst2", root, "data.train_rows=1")


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refuse_splits("the hub's data set nyu-mll/glue (sst2, train) could not be read", "task=sst2")
    refuse_splits("set data.root to a folder that holds sst2/train.jsonl", "task=sst2")


def test_a_task_that_is_not_on_the_hub() -> None:
    message = "'snips' is not on the hub; set data.root to a folder that holds snips/train.jsonl"
    refuse_splits(message, "task=snips_slots")


LENGTHS = {
    ("method.prefix_length=250",): "the longest text has 13 tokens (its pseudo tokens included) "
    "and begins at position 250, but the backbone's position table has 256 (prompt length 250); "
    "lower task.max_length or the method's prompt length",
    ("method=prompt_tuning", "method.prompt_length=250"): "the longest text has 263 tokens",
    ("task.max_length=2",): "task.max_length=2 leaves no room for text: the pattern's own tokens "
    "are 2; raise task.max_length",
    ("method.prefix_length=0",): "the prompt has 0 pseudo tokens: it needs 1 or more",
    ("method=ptuning_v1_frozen",): "verbalizer words terrible, great are not one token of this "
    "backbone's vocabulary; choose other words in the task's file",
}


@pytest.mark.parametrize("overrides", LENGTHS, ids=" ".join)
def test_a_cell_that_cannot_be_is_recorded_and_raised(
    bench: Bench, overrides: tuple[str, ...]
) -> None:
    with pytest.raises(PtbenchError, match=re.escape(LENGTHS[overrides])):
        bench.run(*overrides)
    (record,) = bench.records()
    assert record["status"] == "failed"
    assert LENGTHS[overrides] in record["error"]


def pretrained(name: str) -> tuple[str, ...]:
    return "task=sst2", "model=minilm", f"model.name={name}", *PRETRAINED


PRETRAINED = (
    "model._target_=ptbench.models.Pretrained",
    "~model.package",
    "~model.sha256",
    "~model.install",
)


def test_a_model_folder_without_weights(tmp_path: Path) -> None:
    model = built(*pretrained(str(tmp_path))).model
    with pytest.raises(BackboneError, match=r"the folder holds no \*\.safetensors"):
        model.identity()


def test_a_model_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = built(*pretrained("nobody/nothing")).model
    with pytest.raises(BackboneError, match=r"model\.name=nobody/nothing: not found on the hub"):
        model.load()


def test_a_model_whose_class_is_code_of_its_own_folder(tmp_path: Path) -> None:
    """As THUDM/glm-10b, whose type `glm` is another model in transformers."""
    said = {"model_type": "glm", "architectures": ["GLMModel"], "num_layers": 48}
    said |= {"auto_map": {"AutoModel": "modeling_glm.GLMModel"}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    model = built(*pretrained(str(tmp_path))).model
    with pytest.raises(BackboneError, match=r"its class GLMModel is not in .* not run; take a"):
        model.load()
    with pytest.raises(BackboneError, match="its class GLMModel"):
        model.outline()


def test_a_rate_that_diverges_is_named_in_the_record(bench: Bench) -> None:
    with pytest.raises(Diverged, match=r"lower train\.learning_rate=1e\+30"):
        bench.run("train.learning_rate=1e30", "train.epochs=3")
    (record,) = bench.records()
    assert record["status"] == "diverged"
    assert "train.learning_rate=1e+30" in record["error"]


def test_weights_that_the_last_step_spoils_are_no_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = train.Job.update

    def spoil(job: train.Job) -> None:
        update(job)
        with torch.no_grad():
            for parameter in job.model.head.parameters():
                parameter.fill_(torch.nan)

    monkeypatch.setattr(train.Job, "update", spoil)
    with pytest.raises(Diverged, match="a weight is no longer finite by step 1 of 1"):
        bench.run()


def test_out_of_memory_is_recorded_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(job: train.Job) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(train.Job, "update", exhaust)
    with pytest.raises(torch.OutOfMemoryError):
        bench.run()
    (record,) = bench.records()
    assert record["status"] == "oom"
    assert "Tried to allocate 20 GiB" in record["error"]
