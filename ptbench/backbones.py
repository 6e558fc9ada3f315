"""A pretrained model and its tokenizer, loaded by config and asked the same way whatever it is."""

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.logging import disable_progress_bar

from ptbench.attention import NAMES, Injection, inject
from ptbench.errors import BackboneError, did_you_mean
from ptbench.inputs import Batch, Inputs

disable_progress_bar()  # a cell has one bar, its own


class Pooling(StrEnum):
    """What of the last layer a classification head sees."""

    pooler = "pooler"  # the model's own pooler: dense and tanh of the first token
    first = "first"
    mean = "mean"


class Backbone(nn.Module):
    """A pretrained encoder behind one interface: `Inputs` in, hidden states out.

    `made` names the parameters that the checkpoint did not hold, such as RoBERTa's pooler.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        pooling: Pooling,
        lm_loader: Callable[[], PreTrainedModel] | None,
        made: Collection[str] = (),
    ):
        super().__init__()
        self.model, self.tokenizer, self.pooling = model, tokenizer, pooling
        self._lm_loader, self.made = lm_loader, frozenset(made)
        self.words: nn.Embedding = model.get_input_embeddings()  # pyright: ignore[reportAttributeAccessIssue]
        self.injection: Injection = inject(model, self.words.embedding_dim)
        self._accepts = set(inspect.signature(model.forward).parameters)

    @property
    def width(self) -> int:
        return self.model.config.hidden_size

    @property
    def dropout(self) -> float:
        """The share of hidden units dropped in the backbone's training, used by heads too."""
        config = self.model.config
        return getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.0))

    @property
    def has_lm_head(self) -> bool:
        return self._lm_loader is not None

    @cached_property
    def _positions(self) -> nn.Embedding | None:
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                return module
        return None

    @property
    def position_limit(self) -> int | None:
        """How many positions the table holds for text and prompt; None where there is no table."""
        table = self._positions
        return None if table is None else table.num_embeddings - self._first_position

    @property
    def _first_position(self) -> int:
        # RoBERTa's table keeps the row of its padding id for padding and begins behind it
        pad = self._positions.padding_idx if self._positions is not None else None
        return 0 if pad is None else pad + 1

    def positions(
        self, mask: Bool[Tensor, "rows tokens"], shift: int = 0
    ) -> Int[Tensor, "rows tokens"]:
        """Rows of the position table: counted on from `shift`, as the architecture counts."""
        if first := self._first_position:
            return (mask.cumsum(1) + shift) * mask + first - 1
        return torch.arange(mask.shape[1], device=mask.device).expand(mask.shape) + shift

    def inputs(self, batch: Batch, shift: int = 0) -> Inputs:
        """The batch without a prompt; pseudo tokens hold whatever their placeholder id embeds."""
        return Inputs(
            self.words(batch.ids), batch.mask, batch.types, self.positions(batch.mask, shift)
        )

    def embedded(
        self,
        words: Float[Tensor, "rows tokens width"],
        types: Int[Tensor, "rows tokens"],
        positions: Int[Tensor, "rows tokens"],
    ) -> Float[Tensor, "rows tokens width"]:
        """The output of the whole embedding block."""
        return self.model.embeddings(
            None,
            inputs_embeds=words,
            **self._accepted(token_type_ids=types, position_ids=positions),
        )

    def forward(self, inputs: Inputs) -> Float[Tensor, "rows tokens width"]:
        self.injection.prefix = inputs.prefix
        return self.model(
            inputs_embeds=inputs.embeds,
            attention_mask=inputs.mask.long(),
            **self._accepted(token_type_ids=inputs.types, position_ids=inputs.positions),
        ).last_hidden_state

    def _accepted(self, **arguments: Tensor) -> dict[str, Tensor]:
        return {name: value for name, value in arguments.items() if name in self._accepts}

    def pool(
        self, hidden: Float[Tensor, "rows tokens width"], text: Bool[Tensor, "rows tokens"]
    ) -> Float[Tensor, "rows width"]:
        """One vector a row, from the places of text alone."""
        if self.pooling is Pooling.mean:
            weights = text[..., None].to(hidden.dtype)
            return (hidden * weights).sum(1) / weights.sum(1)
        first = hidden[torch.arange(len(hidden), device=hidden.device), text.int().argmax(1)]
        return self.model.pooler(first[:, None]) if self.pooling is Pooling.pooler else first

    @cached_property
    def lm_head(self) -> "LMHead":
        """The checkpoint's masked-LM head, loaded when first asked for.

        Raises BackboneError where the checkpoint has none.
        """
        if self._lm_loader is None:
            raise BackboneError("this backbone has no LM head (its model file says lm_head: false)")
        return LMHead(self._lm_loader(), self.words)


class LMHead(nn.Module):
    """A masked-LM class of transformers with its backbone taken out: hidden states to logits."""

    def __init__(self, model: PreTrainedModel, words: nn.Embedding):
        super().__init__()
        setattr(model, model.base_model_prefix, _Through())
        if model.config.tie_word_embeddings:
            model.get_output_embeddings().weight = words.weight  # pyright: ignore
        self.model = model

    def forward(
        self, hidden: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows tokens words"]:
        return self.model(inputs_embeds=hidden).logits


class _Through(nn.Module):
    """Stands where the backbone stood and hands its input on."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)  # pyright: ignore


@dataclass(frozen=True)
class Model(ABC):
    """A backbone as a config names it."""

    pooling: Pooling
    lm_head: bool

    @abstractmethod
    def load(self) -> Backbone: ...

    @abstractmethod
    def identity(self) -> str:
        """What fixes the weights: a checksum, or a name and revision."""


@dataclass(frozen=True)
class Pretrained(Model):
    """A checkpoint of the hub, or of a local folder in the hub's form.

    `revision` null takes the newest on the hub; the record says which commit that was.
    """

    name: str
    revision: str | None
    attention: str
    gradient_checkpointing: bool

    def load(self) -> Backbone:
        if self.attention not in NAMES:
            raise BackboneError(
                f"model.attention={self.attention}: {did_you_mean(self.attention, NAMES)}"
            )
        try:
            return self._load(self.folder() or self.name)
        except OSError as error:
            raise BackboneError(
                f"model.name={self.name}: not found on the hub and no folder here ({error}); "
                "check the name and the network (`ptbench doctor`), or give model.name=<folder> "
                "with config.json, model.safetensors and the tokenizer's files"
            ) from error

    def _load(self, source: str) -> Backbone:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=self.revision)
        options: dict[str, Any] = {
            "revision": self.revision,
            "attn_implementation": NAMES[self.attention],
            "dtype": torch.float32,
        }
        model, loading = AutoModel.from_pretrained(source, output_loading_info=True, **options)
        if self.gradient_checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})

        def language_model() -> PreTrainedModel:
            lm, loading = AutoModelForMaskedLM.from_pretrained(
                source, revision=self.revision, dtype=torch.float32, output_loading_info=True
            )
            if missing := sorted(loading["missing_keys"]):
                raise BackboneError(
                    f"model.name={self.name} has no LM head ({', '.join(missing[:3])} are missing);"
                    " set model.lm_head=false"
                )
            return lm

        lm_loader = language_model if self.lm_head else None
        return Backbone(model, tokenizer, self.pooling, lm_loader, loading["missing_keys"])

    def folder(self) -> str | None:
        """The local folder that `name` is, None for a name on the hub."""
        return self.name if Path(self.name).is_dir() else None

    def identity(self) -> str:
        folder = self.folder()
        if folder is None:
            return f"{self.name}@{self.revision or 'main'}"
        return f"sha256:{weights_checksum(Path(folder))}"


@dataclass(frozen=True)
class Packaged(Pretrained):
    """A checkpoint that an installed Python package carries, verified by its weights' checksum."""

    package: str
    sha256: str
    install: str

    def folder(self) -> str:
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise BackboneError(
                f"model '{self.name}' lies in the package {self.package}, which is not installed; "
                f"{self.install}"
            )
        return str(Path(found.origin).parent / self.name)

    def load(self) -> Backbone:
        found = weights_checksum(Path(self.folder()))
        if found != self.sha256:
            raise BackboneError(
                f"the weights in {self.package} have sha256 {found}, expected {self.sha256}; "
                f"reinstall it ({self.install})"
            )
        return super().load()

    def identity(self) -> str:
        return f"sha256:{self.sha256}"


def weights_checksum(folder: Path) -> str:
    """sha256 of the folder's weights, file after file by name."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise BackboneError(f"model.name={folder}: the folder holds no *.safetensors file")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class Random(Model):
    """A BERT of random weights over single characters: for tests, it knows nothing."""

    width: int
    layers: int
    heads: int
    positions: int

    def load(self) -> Backbone:
        letters = [chr(code) for code in range(33, 127)]
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
        words += [f"##{letter}" for letter in letters]
        tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=2 * self.width,
            max_position_embeddings=self.positions,
            attn_implementation=NAMES["sdpa"],
        )
        language_model = (lambda: BertForMaskedLM(config)) if self.lm_head else None
        return Backbone(BertModel(config), tokenizer, self.pooling, language_model)

    def identity(self) -> str:
        return "random"
