"""Facts with a gap: laid out as the paper has them, answered from the whole vocabulary."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ptbench.backbones import Backbone
from ptbench.errors import ConfigError, DataError
from ptbench.kinds import Fact
from ptbench.kinds.cloze import VerbalizerHead
from ptbench.models import Random
from ptbench.patterns import parse
from ptbench.templates import Encoder
from tests.runs import Bench, built, write_rows
from tests.test_writing import prefix, writer

ROW = {"sub_label": "ab", "obj_label": "x"}
LAMA = ("task=lama", "task.relation=P1", "task.manual='[X] says [Y] .'")


@pytest.fixture
def backbone(tiny: Random) -> Backbone:
    torch.manual_seed(0)
    return tiny.load().eval()


def read(kind: Any, encoder: Encoder) -> list[str]:
    """What the encoded row says, P for pseudo tokens."""
    encoded = kind.encode(ROW, encoder, kind.template).encoded
    tokens: Any = encoder.tokenizer.convert_ids_to_tokens(encoded.ids)
    return ["P" if slot >= 0 else token for token, slot in zip(tokens, encoded.slots, strict=True)]


def test_the_papers_template_has_three_threes_around_mask_and_subject(backbone: Backbone) -> None:
    encoder = Encoder(backbone.tokenizer, 32)
    task = built(*LAMA, "model=tiny").task
    kind = task.asks.fitted(backbone)
    rows = ["[CLS]", "P", "P", "P", "[MASK]", "P", "P", "P", "a", "##b", "P", "P", "P", "[SEP]"]
    assert read(kind.patterned(3), encoder) == rows
    assert read(kind.patterned((1, 2, 0)), encoder) == [
        "[CLS]",
        "P",
        "[MASK]",
        "P",
        "P",
        "a",
        "##b",
        "[SEP]",
    ]
    manual = ["[CLS]", "a", "##b", "s", "##a", "##y", "##s", "[MASK]", ".", "[SEP]"]
    assert read(kind, encoder) == manual


def test_a_template_has_a_number_for_each_place() -> None:
    assert parse("[P] {a} [P]", slots=(2, 5)).pseudo_tokens == 7
    with pytest.raises(ConfigError, match=r"method.template=\[1\] has 1 numbers .* pattern 2 pl"):
        parse("[P] {a} [P]", slots=(1,))


def test_the_method_takes_its_template_from_the_config(backbone: Backbone) -> None:
    cell = built(*LAMA, "model=tiny", "method=ptuning_v1_frozen", "method.template=[3,1,2]")
    model = cell.method.adapt(backbone, cell.task.asks.fitted(backbone))
    assert model.prompt.encoder.length == 6
    assert isinstance(model.head, VerbalizerHead)


def test_the_answer_is_the_likeliest_token_of_the_whole_vocabulary(backbone: Backbone) -> None:
    encoder = Encoder(backbone.tokenizer, 32)
    kind = built(*LAMA, "model=tiny").task.asks.fitted(backbone)
    batch = kind.collate([kind.encode(ROW, encoder, kind.template)], encoder)
    head = kind.head(backbone)
    with torch.no_grad():
        logits = head(backbone, backbone(backbone.inputs(batch)), batch)
        language_model = backbone.lm_head
        with language_model.around(backbone.model) as whole:
            expected = whole(input_ids=batch.ids).logits[0, int(batch.answer)]
    assert torch.allclose(logits[0], expected, atol=1e-6)
    found = backbone.tokenizer.convert_ids_to_tokens(int(expected.argmax()))
    assert kind.predict(logits, batch) == [str(found)]
    assert int(batch.targets) == backbone.tokenizer.convert_tokens_to_ids("x")


def test_a_decoder_answers_behind_its_last_token(tiny: Random) -> None:
    model = writer("gpt2", tiny, prefix)
    encoder = Encoder(model.backbone.tokenizer, 32)
    kind = built(*LAMA, "model=tiny").task.asks
    assert isinstance(kind, Fact)
    tokenizer: Any = model.backbone.tokenizer
    tokenizer.mask_token = None  # a decoder's has none
    decoder = kind.fitted(model.backbone)
    assert decoder.text == "{sub_label} says "
    assert decoder.patterned(2).text == "[P] {sub_label} [P]"
    features = decoder.encode(ROW, encoder, decoder.template)
    assert features.encoded.answer == len(features) - 1


def test_answers_of_more_pieces_are_left_out_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    objects = ("x", "xy", "z", "zx", "x", "x")
    rows = [{"sub_label": f"a{n}", "obj_label": o} for n, o in enumerate(objects)]
    for split in ("train", "dev", "test"):
        write_rows(bench.data / "lama_trex" / "P1" / f"{split}.jsonl", rows)
    record = bench.run(*LAMA, "method=ptuning_v1_frozen", "train.epochs=1")
    assert record["rows"] == {"train": 4, "select": 4, "report": 4}
    assert record["left_out"] == {"train": 2, "select": 2, "report": 2}
    assert record["floor"]["test"]["p_at_1"] == 0.75
    assert record["adaptation"]["head"] == "verbalizer"


def test_facts_that_no_token_answers_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for split in ("train", "dev", "test"):
        write_rows(
            bench.data / "lama_trex" / "P1" / f"{split}.jsonl",
            [{"sub_label": "a", "obj_label": "xy"}],
        )
    with pytest.raises(DataError, match="none of 1 rows can be answered from this backbone"):
        bench.run(*LAMA, "method=ptuning_v1_frozen")


def test_a_manual_template_without_its_object_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"task.manual='\[X\] .'"):
        _ = built("task=lama", "task.manual='[X] .'", "model=tiny").task.asks


def test_only_words_of_the_list_are_answered(backbone: Backbone, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("x\nq\nzx\n")  # the last is two tokens
    task = built(*LAMA, "model=tiny", f"task.vocabulary={words}").task
    kind = task.asks.fitted(backbone)
    encoder = Encoder(backbone.tokenizer, 32)
    answers = {word: kind.fits({**ROW, "obj_label": word}, encoder) for word in ("x", "z", "zx")}
    assert answers == {"x": True, "z": False, "zx": False}
    batch = kind.collate([kind.encode(ROW, encoder, kind.template)], encoder)
    logits = torch.zeros(1, len(backbone.tokenizer))
    likely, allowed = backbone.tokenizer.convert_tokens_to_ids(["z", "q"])
    logits[0, likely], logits[0, allowed] = 2.0, 1.0
    assert kind.predict(logits, batch) == ["q"]
    assert built(*LAMA, "model=tiny").task.asks.fitted(backbone).predict(logits, batch) == ["z"]


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    task = built(*LAMA, "model=tiny", f"task.vocabulary={tmp_path / 'none.txt'}").task
    with pytest.raises(DataError, match=r"task\.vocabulary=.*none\.txt: cannot be read"):
        _ = task.asks
