"""The generation kind: what is learnt and what is searched for, by decoders and pairs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from ptbench.attention import NAMES
from ptbench.backbones import Backbone, Pooling
from ptbench.encoders import Table
from ptbench.errors import BackboneError, ConfigError, DataError
from ptbench.generation import generate
from ptbench.inputs import IGNORE
from ptbench.kinds import Generation
from ptbench.method import Adapted, respond
from ptbench.models import Random
from ptbench.optimisation import optimizer
from ptbench.prompts import InfixPrompt, LayerPrompt, Prompt
from ptbench.serve import Served
from ptbench.templates import Encoder
from tests.families import DECODERS, FAMILIES, PAIRS
from tests.runs import Bench, built, write_rows

KIND = Generation(text="{x}", pattern="[P] {x}", target="y", new_tokens=6)
ROWS = [{"x": "a b c d", "y": "e f"}, {"x": "a", "y": "g h i j k l m"}, {"x": "b a", "y": "c"}]


def writer(family: str, tiny: Random, prompt: Callable[[Backbone], Prompt]) -> Adapted:
    """A random language model in float64."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, **FAMILIES[family], attn_implementation=NAMES["sdpa"]
    )
    config.vocab_size = 200
    auto = transformers.AutoModelForCausalLM
    if family in PAIRS:
        auto = transformers.AutoModelForSeq2SeqLM
    whole = auto.from_config(config).double()
    model = getattr(whole, whole.base_model_prefix, None) or transformers.AutoModel.from_config(
        config
    )
    model.double().load_state_dict(whole.state_dict(), strict=False)
    backbone = Backbone(model, tiny.load().tokenizer, Pooling.last, lambda: whole)
    parts = (KIND, backbone, prompt(backbone), KIND.head(backbone))
    return Adapted(*parts, frozen=True, backbone_dropout=False).double().eval()


def prefix(backbone: Backbone) -> Prompt:
    return LayerPrompt(backbone, Table(3, LayerPrompt.width(backbone), 1.0), 0.0, shifted=True)


def infix(backbone: Backbone) -> Prompt:
    return InfixPrompt(backbone, Table(3, LayerPrompt.width(backbone), 1.0), 0.0, shifted=True)


def encoder_of(model: Adapted) -> Encoder:
    return Encoder(model.backbone.tokenizer, 32, model.backbone.two_stacks)


@pytest.mark.parametrize("family", (*DECODERS, *PAIRS))
def test_loss_is_the_language_models_own(family: str, tiny: Random) -> None:
    """Against transformers' loss on each row alone, its labels -100 over the source."""
    model = writer(family, tiny, lambda backbone: Prompt())
    encoder = encoder_of(model)
    features = [KIND.encode(row, encoder, KIND.template) for row in ROWS]
    batch = KIND.collate(features, encoder)
    found = KIND.loss(model(batch), batch)
    expected = torch.zeros((), dtype=torch.double)
    with model.backbone.lm_head.around(model.backbone.model) as language_model:
        for row, one in zip(ROWS, features, strict=True):
            source = encoder.lay_out(KIND.template, {"x": row["x"]}).ids
            words = [*encoder.pieces(row["y"], spaced=True)[:5], encoder.end]
            if model.backbone.two_stacks:
                ids, labels = source, words
            else:
                ids = [*source, encoder.begin, *words]
                labels = [*[IGNORE] * (len(source) + 1), *words]
                assert one.encoded.ids == ids[:-1]
            output = language_model(torch.tensor([ids]), labels=torch.tensor([labels]))
            expected += output.loss.double() * len(words)
    assert torch.allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("family", "prompt"),
    [*((f, prefix) for f in (*DECODERS, *PAIRS)), *((f, infix) for f in DECODERS)],
)
def test_answers_are_searched_for_behind_the_source(
    family: str, prompt: Callable[[Backbone], Prompt], tiny: Random
) -> None:
    """What the reference says does not matter, nor do the other rows."""
    model = writer(family, tiny, prompt)
    encoder = encoder_of(model)
    features = [KIND.encode(row, encoder, KIND.template) for row in ROWS]
    (together,) = respond([model], [KIND.collate(features, encoder)])
    for row, text in zip(ROWS, together, strict=True):
        other = KIND.encode({**row, "y": "z z z"}, encoder, KIND.template)
        assert respond([model], [KIND.collate([other], encoder)]) == [[text]]
        source = encoder.lay_out(KIND.template, {"x": row["x"]})
        if not model.backbone.two_stacks:
            source.add([encoder.begin], 0)
        last = [*[IGNORE] * (len(source.ids) - 1), 0]
        alone = KIND.collate([type(other)(source, last)], encoder)
        inputs = model.prompt(alone, model.backbone)
        ids = generate(model.backbone, inputs, KIND.new_tokens)
        assert (
            model.backbone.tokenizer.batch_decode(ids, skip_special_tokens=True)[0].strip() == text
        )


def test_training_has_a_row_a_reference_and_evaluation_a_row_a_source() -> None:
    rows = [{"x": "a", "y": "b"}, {"x": "c", "y": ["d", "e"]}, {"x": "a", "y": "f"}]
    assert [row["y"] for row in KIND.for_training(rows)] == ["b", "d", "e", "f"]
    together = KIND.for_evaluation(rows)
    assert [(row["x"], row["y"]) for row in together] == [("a", ["b", "f"]), ("c", ["d", "e"])]


def test_the_longest_row_counts_all_that_may_be_written(tiny: Random) -> None:
    encoder = Encoder(tiny.load().tokenizer, 32)
    features = [KIND.encode(row, encoder, KIND.template) for row in ROWS]
    assert max(f.targets.count(IGNORE) for f in features) == 6  # [CLS], four letters, [SEP]
    assert KIND.reach(features) == 6 + KIND.new_tokens


def test_a_reference_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="'y' is '3', not a text"):
        KIND.reference({"x": "a", "y": 3})


def test_bleu_is_one_for_any_of_the_references() -> None:
    references = [["the cat sat on the mat", "a cat sat"], ["it rained all day long"]]
    assert KIND.score([row[0] for row in references], references)["bleu"] == pytest.approx(1)
    assert KIND.score(["a dog", "it"], references)["bleu"] < 0.2


@pytest.mark.parametrize("family", ("gpt2", "bart"))
def test_what_is_learnt_is_written(family: str, tiny: Random) -> None:
    model = writer(family, tiny, prefix).requires_grad_(True)
    encoder = encoder_of(model)
    batch = KIND.collate([KIND.encode(row, encoder, KIND.template) for row in ROWS], encoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        KIND.loss(model(batch), batch).backward()
        optimizer.step()
    short = [row["y"].split()[: KIND.new_tokens - 1] for row in ROWS]
    assert [text.split() for text in respond([model], [batch])[0]] == short


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny: Random) -> Path:
    """A small random GPT-2 as a checkpoint on disk."""
    where = tmp_path_factory.mktemp("gpt2")
    sizes = {**FAMILIES["gpt2"], "n_positions": 256, "vocab_size": 200}
    config = transformers.AutoConfig.for_model("gpt2", **sizes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(where)
    tiny.load().tokenizer.save_pretrained(where)
    return where


def test_a_run_writes_a_record_and_its_prompt_answers(tmp_path: Path, folder: Path) -> None:
    bench = Bench(tmp_path)
    meanings = ("name[Aa], area[city]", "name[Bb], food[figs]")
    for split in ("train", "validation", "test"):
        rows = [
            {"meaning_representation": meanings[n % 2], "human_reference": f"It is good {n} ."}
            for n in range(8)
        ]
        write_rows(bench.data / "e2e_nlg" / f"{split}.jsonl", rows)
    record = bench.run(
        "task=e2e",
        "task.new_tokens=4",
        "task.beams=2",
        "method=prefix_tuning",
        "save=true",
        "model=gpt2",
        f"model.name={folder}",
        "model.revision=null",
    )
    assert record["status"] == "done"
    assert record["rows"] == {"train": 8, "select": 2, "report": 2}
    assert 0 <= record["scores"]["test"]["bleu_uncased"] <= 1
    assert record["floor"]["test"]["bleu_uncased"] > 0.5
    saved = next(bench.folder.rglob("*.safetensors"))
    served = Served.load(saved.parent, folder)
    source = "name : Aa | area : city"
    row = {"prompt": saved.stem, "attributes": source}
    assert isinstance(served.predict([row])[0], str)


def test_a_model_that_fills_masks_is_refused(tiny: Random) -> None:
    with pytest.raises(BackboneError, match="'bert' fills masks and cannot write"):
        KIND.head(tiny.load())


def test_a_head_that_comes_with_a_frozen_backbone_leaves_nothing_to_train(tiny: Random) -> None:
    model = writer("gpt2", tiny, lambda backbone: Prompt())
    with pytest.raises(ConfigError, match="nothing trains"):
        optimizer(model, built("model=tiny").training)
