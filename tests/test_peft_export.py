"""Folders for PEFT: transformers alone, given what they hold, answers as we do; others are refused.

`plain` reads a folder as PEFT's format has it: rows or a cache in front, and tensors by their names
in the base model. PEFT itself loads the same folders where it is installed, and all of it is in
benchmarks/peft_parity.py.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast
from typer.testing import CliRunner

from methods.prefix_tuning import PrefixTuning
from methods.prompt_tuning import PromptTuning
from methods.ptuning_v1 import EncoderName, PTuningV1
from methods.ptuning_v2 import PTuningV2
from ptbench import cli
from ptbench.backbones import Backbone, Pooling
from ptbench.errors import PtbenchError
from ptbench.inputs import Batch
from ptbench.kinds import Classification, Features, Generation, Kind, Labelling, bio
from ptbench.method import Adapted, Method
from ptbench.peft_export import Adapter, ExportError, adapter, export
from ptbench.prompts import LayerPrompt
from ptbench.templates import Encoder
from tests.families import FAMILIES
from tests.saved import put

Build = Callable[..., Backbone]
V2 = PTuningV2(False, 3, 0.1, False, 8, True, None)
PREFIX = PrefixTuning(False, 3, 8, 0.0, True)
ROWS = PromptTuning(False, 3, 0.5, False)
LABEL = Classification(("no", "yes", "so"), text="{x}", pattern="[P] {x} [P]")
PAIR = Classification(LABEL.labels, text="{x} [SEP] {y}", pattern="{x} [P] {y}")
TAGS = Labelling(labels=bio("X"))
TEXTS = ("a b", "c d e f g h i j")
SIZE = {"vocab_size": 200, "pad_token_id": 0}  # of the tests' tokenizer, with its padding


def adapted(backbone: Backbone, method: Method, kind: Kind, pooling: str = "first") -> Adapted:
    """A random model in float64 whose pooler, where it has one, is not the checkpoint's."""
    backbone.pooling = Pooling(pooling)
    names = [name for name, _ in backbone.model.named_parameters()]
    backbone.made = frozenset(name for name in names if name.startswith("pooler."))
    torch.manual_seed(0)
    model = method.adapt(backbone, kind).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.5 * torch.randn_like(parameter)
    return model


def texts(model: Adapted) -> Batch:
    encoder, template = Encoder(model.backbone.tokenizer, 32), model.kind.template
    rows = [encoder.lay_out(template, dict.fromkeys(template.fields, text)) for text in TEXTS]
    return model.kind.collate([Features(row, 0) for row in rows], encoder)


def written(model: Adapted, folder: Path) -> Adapter:
    made = adapter(model, Encoder(model.backbone.tokenizer, 32), "owner/name@abc")
    made.write(folder)
    return made


def base(made: Adapter, model: Adapted) -> Any:
    """The fresh model that the note names, with the pretrained part of the backbone alone."""
    config = transformers.AutoConfig.for_model(
        model.backbone.model.config.model_type,
        **{**FAMILIES[model.backbone.model.config.model_type], **SIZE},
    )
    if made.base.labels is not None:
        config.num_labels = made.base.labels
    whole = getattr(transformers, made.base.auto).from_config(config).double().eval()
    body = getattr(whole, whole.base_model_prefix) if made.base.head else whole
    own = model.backbone.made
    state = {n: t for n, t in model.backbone.model.state_dict().items() if n not in own}
    assert not body.load_state_dict(state, strict=False).unexpected_keys
    return whole


@torch.no_grad()
def plain(folder: Path, whole: Any, batch: Batch) -> Tensor:
    """What the base answers with the folder's tensors in it, read as PEFT reads them."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    prompt = tensors.pop("prompt_embeddings")
    trained = {name.removeprefix("base_model."): t for name, t in tensors.items()}
    assert not whole.load_state_dict(trained, strict=False).unexpected_keys
    assert all(any(n.startswith(m) for m in config["modules_to_save"]) for n in trained)
    rows, length = len(batch.ids), config["num_virtual_tokens"]
    body = getattr(whole, whole.base_model_prefix) if trained else whole
    accepts = inspect.signature(body.forward).parameters
    if config["peft_type"] == "PREFIX_TUNING":
        heads, layers = config["num_attention_heads"], config["num_layers"]
        parts = prompt.expand(rows, -1, -1).view(rows, length, 2 * layers, heads, -1)
        pairs = parts.permute(2, 0, 3, 1, 4).split(2)
        name = "cache" if "cache" in accepts else "past_key_values"
        given = {"input_ids": batch.ids, name: DynamicCache([(k, v) for k, v in pairs])}
        mask = torch.cat([batch.mask.new_ones(rows, length), batch.mask], 1)
    else:
        words = body.get_input_embeddings()(batch.ids[:, length:])
        given = {"inputs_embeds": torch.cat([prompt.expand(rows, -1, -1), words], 1)}
        mask = batch.mask
    if trained and "token_type_ids" in accepts and body.config.model_type == "bert":
        given["token_type_ids"] = batch.types
    outputs = body(attention_mask=mask.long(), **given)
    if not trained:
        return outputs.last_hidden_state
    pooled = config["task_type"] == "SEQ_CLS" and outputs.get("pooler_output") is not None
    head = getattr(whole, next(n.partition(".")[0] for n in trained if not n.count(".") > 2))
    return head(outputs.pooler_output if pooled else outputs.last_hidden_state)


def close(folder: Path, made: Adapter, model: Adapted, found: Tensor) -> None:
    batch = texts(model)
    with torch.no_grad():
        hidden = model.backbone(model.prompt(batch, model.backbone))
        expected = model(batch) if made.base.head else hidden
    seen = batch.mask if expected.ndim == 3 else slice(None)
    torch.testing.assert_close(found[seen], expected[seen], rtol=0, atol=1e-9)


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


ARCHITECTURES = [
    *((name, V2, "takes no cache") for name in ("albert", "distilbert", "modernbert", "deberta")),
    ("gemma3_text", V2, "architecture 'gemma3_text' has sliding windows"),
    ("bart", V2, "architecture 'bart' has two stacks"),
    ("t5", ROWS, "architecture 't5' has two stacks"),
]


@pytest.mark.parametrize(("family", "method", "why"), ARCHITECTURES)
def test_architectures_that_peft_cannot_give_this_prompt_are_refused(
    family: str, method: Method, why: str, build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone(family, vocab_size=200), method, TAGS)
    with pytest.raises(ExportError, match=why):
        written(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_token_types_need_a_head_since_peft_drops_them_without(
    build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone("bert", **SIZE), V2, PAIR, "mean")
    with pytest.raises(ExportError, match=r"two token types, .* since BertForSequence\w+ reads"):
        written(model, tmp_path)


class Further(LayerPrompt):
    """Counts the text's positions from one place too far."""

    @property
    def shift(self) -> int:
        return super().shift + 1


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_what_transformers_computes_otherwise_is_refused(
    family: str, build_backbone: Build, tmp_path: Path
) -> None:
    model = adapted(build_backbone(family, **SIZE), V2, TAGS)
    assert model.prompt.encoder is not None
    model.prompt = Further(model.backbone, model.prompt.encoder, dropout=0.0, shifted=True)
    with pytest.raises(ExportError, match="other hidden states; use `ptbench predict`"):
        written(model, tmp_path)


REFUSED = {
    "method=ptuning_v2 method.layers=[1]": r"method\.layers=\[1\]: PEFT's prefix enters every lay",
    "method=ptuning_v2 method.shifted=false": r"method\.shifted=false: .* train with true",
    "method=prompt_tuning method.embed_twice=true": r"method\.embed_twice=true: .* with false",
    "method=ptuning_v1_frozen": "pattern has pseudo tokens behind words or special tokens",
    "method=linear_probe": "no prompt",
    "method=finetune": "its backbone trained too",
    "method=ptuning_v1_tuned": "its backbone trained too",
}


@pytest.mark.parametrize("how", REFUSED)
def test_settings_that_peft_has_no_place_for_are_named(how: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.safetensors"
    put(file, "task=pocket_ner", *how.split())
    torch.manual_seed(0)
    with pytest.raises(ExportError, match=rf"saved\.safetensors: .*{REFUSED[how]}"):
        export(file, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


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
