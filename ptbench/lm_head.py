"""The LM head that a checkpoint holds, apart from its backbone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class LMHead(nn.Module):
    """A language model of transformers with its backbone taken out: hidden states to logits."""

    def __init__(self, model: PreTrainedModel, backbone: PreTrainedModel):
        super().__init__()
        if model.config.tie_word_embeddings:
            words: Any = backbone.get_input_embeddings()
            model.get_output_embeddings().weight = words.weight  # pyright: ignore
        self.model = model
        self._whole = model.base_model_prefix in model._modules
        self._put(dict.fromkeys(self._parts(backbone), _Through()))

    def _parts(self, backbone: PreTrainedModel) -> dict[str, nn.Module]:
        """What of the language model is the backbone: one module, or T5's encoder and decoder."""
        if self._whole:
            return {self.model.base_model_prefix: backbone}
        return {name: part for name, part in backbone.named_children() if hasattr(self.model, name)}

    def _put(self, parts: Mapping[str, nn.Module]) -> None:
        for name, part in parts.items():
            setattr(self.model, name, part)

    def forward(
        self, hidden: Float[Tensor, "rows tokens width"]
    ) -> Float[Tensor, "rows tokens words"]:
        if self._whole:
            return self.model(inputs_embeds=hidden).logits
        handed = _Handed(last_hidden_state=hidden)  # pyright: ignore[reportArgumentType]
        return self.model(encoder_outputs=handed, decoder_inputs_embeds=hidden).logits

    @contextmanager
    def around(self, backbone: PreTrainedModel) -> Iterator[PreTrainedModel]:
        """The whole language model, its backbone put back for as long as it is needed."""
        parts = self._parts(backbone)
        self._put(parts)
        try:
            yield self.model
        finally:
            self._put(dict.fromkeys(parts, _Through()))


class _Through(nn.Module):
    """Stands where the backbone stood and hands its input on."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> "_Handed":
        return _Handed(last_hidden_state=inputs_embeds)  # pyright: ignore[reportArgumentType]


class _Handed(BaseModelOutput):
    """An output whose other fields, a cache among them, are all None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
