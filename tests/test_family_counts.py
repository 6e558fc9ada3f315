"""Trainable and stored parameters of every method on every family, by closed formulas."""

from collections.abc import Callable
from dataclasses import dataclass

from methods.prefix_embedding import PrefixEmbedding
from methods.prefix_tuning import PrefixTuning
from methods.prompt_tuning import PromptTuning
from methods.ptuning_v1 import PTuningV1
from methods.ptuning_v2 import PTuningV2
from ptbench.backbones import Backbone
from ptbench.cost import parameters
from ptbench.method import Method
from tests.conftest import KINDS
from tests.families import FAMILIES, PAIRS
from tests.test_families import adapted, cell_of, every_method

LABELS = 2  # no and yes


@dataclass(frozen=True)
class Sizes:
    """What closed formulas need of a family, from the values of its config alone."""

    width: int
    embedding: int
    numbers: int  # of a place of the prompt at one site: a key and a value in every layer
    sites: int

    @classmethod
    def of(cls, family: str) -> "Sizes":
        config = FAMILIES[family]

        def value(*names: str) -> int:
            return next(config[name] for name in names if name in config)

        width = value("hidden_size", "dim", "n_embd", "d_model")
        heads = value(
            "num_attention_heads", "n_heads", "n_head", "num_heads", "encoder_attention_heads"
        )
        size = config.get("head_dim", config.get("d_kv", width // heads))
        layers = value("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers")
        numbers = layers * 2 * config.get("num_key_value_heads", heads) * size
        sites = 3 if family in PAIRS else 1  # the encoder's, the decoder's, and between them
        return cls(width, config.get("embedding_size", width), numbers, sites)


def prompt_sizes(method: Method, of: Sizes) -> tuple[int, int]:
    """How many numbers a prompt has in training, and when folded."""
    everywhere = of.sites * of.numbers
    match method:
        case PromptTuning(prompt_length=rows):
            return rows * of.embedding, rows * of.embedding
        case PrefixEmbedding(prefix_length=rows, hidden=hidden):
            mlp = (of.embedding + 1) * hidden + (hidden + 1) * of.embedding
            return rows * of.embedding + mlp, rows * of.embedding
        case PTuningV1(slot_length=slot, encoder_width=share):
            rows, wide = 2 * slot, of.embedding  # two [P] in the pattern
            one = round(share * wide)  # direction of the LSTM
            gates = 4 * one * ((wide + one + 2) + (2 * one + one + 2))  # of two layers
            mlp = (2 * one + 1) * wide + (wide + 1) * wide
            return rows * wide + 2 * gates + mlp, rows * wide
        case PrefixTuning(prefix_length=rows, hidden=hidden):
            each = rows * of.width + (of.width + 1) * hidden + (hidden + 1) * of.numbers
            return of.sites * each, rows * everywhere
        case PTuningV2(prefix_length=rows):
            return rows * everywhere, rows * everywhere
    return 0, 0


@every_method
def test_counts_are_the_closed_formulas(
    build_backbone: Callable[..., Backbone], family: str, method: str
) -> None:
    backbone = build_backbone(family)
    model = adapted(backbone, method, KINDS["classification"])
    sizes = Sizes.of(family)
    trained, kept = prompt_sizes(cell_of(method).method, sizes)
    head = LABELS * (sizes.width + 1)
    whole = sum(parameter.numel() for parameter in backbone.model.parameters())
    with_backbone = head + (0 if model.frozen else whole)
    assert parameters(model) == {
        "trainable_parameters": trained + with_backbone,
        "stored_parameters": kept + with_backbone,
        "total_parameters": trained + head + whole,
    }
    assert bool(trained) == (method not in ("finetune", "linear_probe"))
