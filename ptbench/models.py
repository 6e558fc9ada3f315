"""Backbones as a config names them: of the hub, of a folder, of a package, or random."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils.logging import disable_progress_bar

from ptbench.attention import NAMES, check_name
from ptbench.backbones import Backbone, Pooling
from ptbench.checksums import sha256
from ptbench.errors import BackboneError
from ptbench.recompute import enable_checkpointing

disable_progress_bar()  # a cell has one bar, its own


class DType(StrEnum):
    """The precision of a backbone's weights; prompt and head stay in float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(frozen=True)
class Model(ABC):
    """A backbone as a config names it; `dtype` is the precision of its weights."""

    pooling: Pooling
    lm_head: bool
    dtype: DType = field(default=DType.float32, kw_only=True)

    @abstractmethod
    def load(self) -> Backbone: ...

    def outline(self) -> Backbone:
        """The backbone for its tokenizer and limits alone; its weights may be absent."""
        return self.load()

    @abstractmethod
    def identity(self) -> str:
        """What fixes the weights: a checksum, or a name and revision."""


@dataclass(frozen=True)
class Pretrained(Model):
    """A checkpoint of the hub, or of a local folder in the hub's form.

    `revision` null takes the newest on the hub; the record says which commit that was. `gguf` names
    a quantised file of llama.cpp's form, whose weights are read into `dtype`.
    """

    name: str
    revision: str | None
    attention: str
    gradient_checkpointing: bool
    gguf: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_name(self.attention)

    @property
    def _where(self) -> dict[str, Any]:
        return {"revision": self.revision, "gguf_file": self.gguf}

    def load(self) -> Backbone:
        return self._found(self._load)

    def outline(self) -> Backbone:
        return self._found(self._outline)

    def _found(self, build: Callable[[str], Backbone]) -> Backbone:
        source = self.folder() or self.name
        try:
            self._refuse_foreign(source)
            return build(source)
        except OSError as error:
            raise BackboneError(
                f"model.name={self.name}: not found on the hub and no folder here ({error}); "
                "check the name and the network (`ptbench doctor`), or give model.name=<folder> "
                "with config.json, model.safetensors and the tokenizer's files"
            ) from error

    def _refuse_foreign(self, source: str) -> None:
        """A checkpoint's own code is never run; another class of the same type would fit nothing.

        So the THUDM's GLM of 2022 has the type `glm`, which is a later model's in transformers.
        """
        said, _ = PreTrainedConfig.get_config_dict(source, **self._where)
        own_code = said.get("architectures") if said.get("auto_map") else None
        for architecture in own_code or []:  # T5's old names are in no release and bring no code
            if not hasattr(transformers, architecture):
                raise BackboneError(
                    f"model.name={self.name}: its class {architecture} is not in transformers "
                    f"{transformers.__version__} but code of its own folder, which is not run; "
                    "take a model of `ptbench list model`, or one of a family that README names"
                )

    def _load(self, source: str) -> Backbone:
        tokenizer = AutoTokenizer.from_pretrained(source, **self._where)
        options: dict[str, Any] = {
            **self._where,
            "dtype": self.dtype.value,
            "output_loading_info": True,
        }
        model, loading = AutoModel.from_pretrained(
            source, attn_implementation=NAMES[self.attention], **options
        )
        if self.gradient_checkpointing:
            enable_checkpointing(model)

        def language_model() -> PreTrainedModel:
            auto = _language_model_class(model)
            lm, loading = auto.from_pretrained(source, **options)
            if missing := sorted(loading["missing_keys"]):
                raise BackboneError(
                    f"model.name={self.name} has no LM head ({', '.join(missing[:3])} are missing);"
                    " set model.lm_head=false"
                )
            return lm

        lm_loader = language_model if self.lm_head else None
        return Backbone(model, tokenizer, self.pooling, lm_loader, loading["missing_keys"])

    def _outline(self, source: str) -> Backbone:
        tokenizer = AutoTokenizer.from_pretrained(source, **self._where)
        config = AutoConfig.from_pretrained(source, **self._where)
        with torch.device("meta"):
            model = AutoModel.from_config(config, attn_implementation=NAMES[self.attention])

        def absent() -> PreTrainedModel:
            raise BackboneError("an outline has no weights; load the model")

        return Backbone(model, tokenizer, self.pooling, absent if self.lm_head else None)

    def folder(self) -> str | None:
        """The local folder that `name` is, None for a name on the hub."""
        return self.name if Path(self.name).is_dir() else None

    def identity(self) -> str:
        folder = self.folder()
        if folder is None:
            return f"{self.name}@{self.revision or 'main'}"
        return f"sha256:{weights_checksum(Path(folder), self.gguf)}"


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
        found = weights_checksum(Path(self.folder()), self.gguf)
        if found != self.sha256:
            raise BackboneError(
                f"the weights in {self.package} have sha256 {found}, expected {self.sha256}; "
                f"reinstall it ({self.install})"
            )
        return super().load()

    def identity(self) -> str:
        return f"sha256:{self.sha256}"


def _language_model_class(model: PreTrainedModel) -> Any:
    """The auto class whose LM head belongs to the backbone: by its stacks, else by its masks."""
    if model.config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM
    masked = type(model.config) in AutoModelForMaskedLM._model_mapping
    return AutoModelForMaskedLM if masked else AutoModelForCausalLM


def weights_checksum(folder: Path, name: str | None = None) -> str:
    """sha256 of the folder's weights, file after file by name: one named, or all safetensors."""
    files = sorted(folder.glob(name or "*.safetensors"))
    if not files:
        raise BackboneError(f"model.name={folder}: the folder holds no {name or '*.safetensors'}")
    return sha256(files, named=False)


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
        )
        config._attn_implementation = NAMES["sdpa"]
        dtype = getattr(torch, self.dtype)
        model = BertModel(config).to(dtype)
        drawn = torch.get_rng_state()

        def language_model() -> PreTrainedModel:
            # the same whenever it is asked for, and no draw of who asks: cells share the backbone
            with torch.random.fork_rng(devices=()):
                torch.set_rng_state(drawn)
                return BertForMaskedLM(config).to(dtype)

        return Backbone(model, tokenizer, self.pooling, language_model if self.lm_head else None)

    def identity(self) -> str:
        return "random"
