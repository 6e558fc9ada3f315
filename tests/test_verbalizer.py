"""P-tuning v2 answers by the task's words on the LM head, of masked models and of decoders."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import transformers

from methods.linear_probe import LinearProbe
from ptbench.backbones import Backbone
from ptbench.errors import ConfigError
from ptbench.kinds import Classification, Cloze
from ptbench.templates import Encoder
from tests.runs import built

KIND = Classification(labels=("no", "yes"), text="{text}", pattern="{text} [P] x ? [MASK] .")
WORDED = replace(KIND, words=("n", "y"))
HEADED = ("task=pocket_sentiment", "model=tiny", "method=ptuning_v2", "method.head=verbalizer")
TEXTS = ("a b c", "d e f g h a b")


@pytest.fixture
def decoder(build_backbone: Callable[..., Backbone]) -> Backbone:
    """A GPT-2 with its LM head, and like real ones without a mask token."""
    backbone = build_backbone("gpt2", vocab_size=200)
    whole = transformers.AutoModelForCausalLM.from_config(backbone.model.config).double()
    backbone._lm_loader = lambda: whole
    backbone.tokenizer = deepcopy(backbone.tokenizer)
    backbone.tokenizer.mask_token = None
    return backbone


def test_a_decoder_answers_behind_its_last_token(decoder: Backbone) -> None:
    kind, encoder = Cloze.plain(WORDED, decoder), Encoder(decoder.tokenizer, 32)
    model = LinearProbe(backbone_dropout=False).adapt(decoder, kind).double().eval()
    rows = [kind.encode({"text": text, "label": 0}, encoder, kind.template) for text in TEXTS]
    batch = kind.collate(rows, encoder)
    words = decoder.tokenizer.convert_tokens_to_ids(["n", "y"])
    with torch.no_grad():
        found = model(batch)
        with decoder.lm_head.around(decoder.model) as itself:
            for row, logits in zip(rows, found, strict=True):
                ids = torch.tensor([row.encoded.ids])
                torch.testing.assert_close(logits, itself(input_ids=ids).logits[0, -1, words])


def test_p_tuning_v2_reads_it_so_and_trains_its_prompt_alone(decoder: Backbone) -> None:
    model = built(*HEADED).method.adapt(decoder, WORDED)
    assert model.head.name == "verbalizer"
    assert model.kind == Cloze.plain(WORDED, decoder)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("prompt.") for name in trained)


def test_a_masked_model_keeps_the_mask_and_what_follows(
    build_backbone: Callable[..., Backbone],
) -> None:
    backbone = build_backbone("bert", vocab_size=200)
    backbone._lm_loader = lambda: transformers.AutoModelForMaskedLM.from_config(
        backbone.model.config
    )
    kind, encoder = Cloze.plain(WORDED, backbone), Encoder(backbone.tokenizer, 32)
    encoded = kind.encode({"text": "a b", "label": 1}, encoder, kind.template).encoded
    assert encoded.ids[encoded.answer] == backbone.tokenizer.mask_token_id
    assert kind.template.pseudo_tokens == 0
    assert max(encoded.slots) == -1


def test_without_words_or_lm_head_it_says_so(decoder: Backbone) -> None:
    method = built(*HEADED).method
    with pytest.raises(ConfigError, match=r"the task has no words; set method.head=own"):
        method.adapt(decoder, KIND)
    decoder._lm_loader = None
    with pytest.raises(ConfigError, match=r"the backbone has no LM head; set method.head=own"):
        method.adapt(decoder, WORDED)
