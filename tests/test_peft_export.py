"""Folders for PEFT: transformers alone, given what they hold, answers as we do.

PEFT itself loads the same folders where it is installed, and benchmarks/peft_parity.py has it all.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from methods.ptuning_v1 import EncoderName, PTuningV1
from ptbench import cli
from ptbench.backbones import Backbone
from ptbench.errors import PtbenchError
from ptbench.kinds import Classification, Generation, Kind
from ptbench.method import Method
from ptbench.peft_export import ExportError, adapter
from ptbench.templates import Encoder
from tests.exported import (
    LABEL,
    PAIR,
    PREFIX,
    ROWS,
    SIZE,
    TAGS,
    V2,
    adapted,
    base,
    close,
    plain,
    texts,
    written,
)
from tests.saved import put

Build = Callable[..., Backbone]
WITH_HEAD = [
    ("bert", V2, LABEL, "pooler", {"classifier", "bert.pooler.dense"}),
    ("bert", PREFIX, PAIR, "pooler", {"classifier", "bert.pooler.dense"}),
    ("roberta", V2, LABEL, "pooler", {"classifier"}),
    ("xlm-roberta", ROWS, TAGS, "first", {"classifier"}),
    ("electra", PREFIX, TAGS, "first", {"classifier"}),
    ("albert", ROWS, TAGS, "first", {"classifier"}),
    ("distilbert", ROWS, TAGS, "first", {"classifier"}),
    ("deberta-v2", ROWS, TAGS, "first", {"classifier"}),
    ("gpt2", V2, TAGS, "last", {"classifier"}),
    ("llama", PREFIX, TAGS, "last", {"score"}),
    ("glm4", ROWS, TAGS, "last", {"score"}),
]


@pytest.mark.parametrize(("family", "method", "kind", "pooling", "modules"), WITH_HEAD)
def test_transformers_answers_as_we_do_with_the_head_that_it_has(
    family: str,
    method: Method,
    kind: Kind,
    pooling: str,
    modules: set[str],
    build_backbone: Build,
    tmp_path: Path,
) -> None:
    model = adapted(build_backbone(family, **SIZE), method, kind, pooling)
    made = written(model, tmp_path)
    assert made.base.left_out is None
    assert set(made.config["modules_to_save"]) == modules
    close(tmp_path, made, model, plain(tmp_path, base(made, model), texts(model)))


WITHOUT_HEAD = [
    ("bert", V2, LABEL, "mean", "BertForSequenceClassification reads .* model.pooling=mean"),
    ("bert", V2, LABEL, "first", "BertForSequenceClassification reads .* model.pooling=first"),
    ("roberta", ROWS, LABEL, "pooler", "looks behind the pseudo tokens"),
    ("electra", V2, LABEL, "first", r"has classifier\.dense\.weight, .* trained is classifier\.w"),
    ("qwen3", V2, LABEL, "last", r"has score\.weight, and .* is score\.weight, score\.bias"),
    ("modernbert", ROWS, TAGS, "first", r"has head\.dense\.weight"),
    ("gemma3_text", ROWS, TAGS, "last", "AutoModelForTokenClassification knows no 'gemma3_text'"),
]


@pytest.mark.parametrize(("family", "method", "kind", "pooling", "why"), WITHOUT_HEAD)
def test_where_the_head_has_no_place_it_is_said_and_the_prompt_goes_alone(
    family: str,
    method: Method,
    kind: Kind,
    pooling: str,
    why: str,
    build_backbone: Build,
    tmp_path: Path,
) -> None:
    model = adapted(build_backbone(family, **SIZE), method, kind, pooling)
    made = written(model, tmp_path)
    assert made.config["task_type"] == "FEATURE_EXTRACTION"
    assert re.search(f"AutoModel.from_pretrained\\(<backbone>\\)\nno head: .*{why}", made.note)
    assert list(load_file(tmp_path / "adapter_model.safetensors")) == ["prompt_embeddings"]
    close(tmp_path, made, model, plain(tmp_path, base(made, model), texts(model)))


def test_the_config_is_what_peft_reads(build_backbone: Build, tmp_path: Path) -> None:
    written(adapted(build_backbone("llama", **SIZE), V2, TAGS, "last"), tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text()) == {
        "peft_type": "PREFIX_TUNING",
        "task_type": "TOKEN_CLS",
        "base_model_name_or_path": "owner/name",
        "revision": "abc",
        "inference_mode": True,
        "modules_to_save": ["score"],
        "num_virtual_tokens": 3,
        "num_transformer_submodules": 1,
        "num_attention_heads": 2,  # of keys and values, which four heads of queries share
        "num_layers": 3,
        "token_dim": 16,
    }


def test_a_text_that_is_written_needs_the_lm_head_alone(build_backbone: Build) -> None:
    backbone = build_backbone("gpt2", **SIZE)
    whole = transformers.AutoModelForCausalLM.from_config(backbone.model.config).double()
    backbone._lm_loader = lambda: whole
    kind = Generation(text="{x}", pattern="[P] {x}", target="y")
    for method, name in ((V2, "PREFIX_TUNING"), (ROWS, "PROMPT_TUNING")):
        model = adapted(backbone, method, kind, "last")
        made = adapter(model, Encoder(backbone.tokenizer, 32), "sha256:abc")
        assert list(made.tensors) == ["prompt_embeddings"]
        assert (made.config["peft_type"], made.config["task_type"]) == (name, "CAUSAL_LM")
        assert made.config["base_model_name_or_path"] is None
        assert made.note == "load it on AutoModelForCausalLM.from_pretrained(<backbone>)"


@pytest.fixture
def bare_words() -> PreTrainedTokenizerFast:
    """One token a word and none that is special, so that a pattern may begin with a prompt."""
    words = {word: number for number, word in enumerate(["<unk>", "<end>", *"abcdefghijklmnop"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>", pad_token="<unk>"
    )


@pytest.mark.parametrize("pattern", ["[P] {x} a", "{x} [P]", "[P] {x} [P]", "a [P] {x}"])
def test_v1_goes_where_its_pseudo_tokens_are_all_in_front(
    pattern: str, bare_words: PreTrainedTokenizerFast, build_backbone: Build, tmp_path: Path
) -> None:
    backbone = build_backbone("gpt2", **SIZE)
    backbone.tokenizer = bare_words
    kind = Classification(("no", "yes"), text="{x}", pattern=pattern)
    model = adapted(backbone, PTuningV1(False, 2, EncoderName.lstm, 0.5, True), kind, "last")
    if pattern != "[P] {x} a":
        with pytest.raises(ExportError, match="pseudo tokens behind words or special tokens"):
            written(model, tmp_path)
        return
    made = written(model, tmp_path)
    assert made.config["peft_type"] == "PROMPT_TUNING", "the LSTM is folded into a table"
    close(tmp_path, made, model, plain(tmp_path, base(made, model), texts(model)))


def command(*arguments: str | Path) -> str:
    """Runs `ptbench export`; what it prints. Raises what it raises."""
    torch.manual_seed(0)
    result = CliRunner().invoke(cli.app, ["export", *map(str, arguments)])
    if isinstance(result.exception, PtbenchError):
        raise result.exception
    return result.output


def test_the_command_writes_the_folder_and_says_what_to_load_it_on(tmp_path: Path) -> None:
    file, folder = tmp_path / "saved.safetensors", tmp_path / "new" / "adapter"
    put(file, "task=pocket_ner", "method=prefix_tuning", "method.prefix_length=5")
    said = command(file, folder)
    assert said.endswith(
        "AutoModelForTokenClassification.from_pretrained(<backbone>, num_labels=7)\n"
    )
    assert {found.name for found in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    stored, given = load_file(file), load_file(folder / "adapter_model.safetensors")
    for name, ours in (
        ("prompt_embeddings", "prompt.encoder.embedding.weight"),
        ("base_model.classifier.weight", "head.classifier.weight"),
        ("base_model.classifier.bias", "head.classifier.bias"),
    ):
        assert torch.equal(given.pop(name), stored.pop(ours))
    assert not (given or stored)
    with pytest.raises(ExportError, match=r"saved\.safetensors could not be written"):
        command(file, file)
    with pytest.raises(PtbenchError, match=r"nothing\.safetensors is not a whole checkpoint"):
        command(tmp_path / "nothing.safetensors", folder)


@pytest.mark.filterwarnings("ignore")  # PEFT's own
@pytest.mark.parametrize(
    ("family", "method", "kind", "pooling"),
    [
        ("bert", V2, PAIR, "pooler"),
        ("bert", ROWS, LABEL, "pooler"),
        ("roberta", PREFIX, LABEL, "pooler"),
        ("llama", V2, TAGS, "last"),
        ("gpt2", ROWS, TAGS, "last"),
    ],
)
@torch.no_grad()
def test_peft_loads_it_and_answers_as_we_do(
    family: str, method: Method, kind: Kind, pooling: str, build_backbone: Build, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    accepts = inspect.signature(transformers.BertModel.forward).parameters
    if method is not ROWS and "past_key_values" not in accepts and peft.__version__ <= "0.21.2":
        pytest.skip("this PEFT finds no cache in transformers 5.24")
    model = adapted(build_backbone(family, **SIZE), method, kind, pooling)
    model.prompt.fold()
    model.prompt.float().double()  # PEFT's table is of float32
    made = written(model, tmp_path)
    theirs = peft.PeftModel.from_pretrained(base(made, model), tmp_path)
    batch = texts(model)
    front = 3 if method is ROWS else 0
    types = {"token_type_ids": batch.types} if kind is PAIR else {}
    answer = theirs.double()(
        input_ids=batch.ids[:, front:], attention_mask=batch.mask[:, front:].long(), **types
    )
    found = answer.logits if made.base.head else answer.last_hidden_state
    close(tmp_path, made, model, found)
