"""A pretrained model and its tokenizer, asked the same way whatever it is."""

import inspect
from collections.abc import Callable, Collection
from enum import StrEnum
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ptbench.attention import Injection, inject
from ptbench.dropout import quicken
from ptbench.errors import BackboneError
from ptbench.inputs import Batch, Inputs
from ptbench.lm_head import LMHead
from ptbench.recompute import recomputes
from ptbench.stack import Stack

COMPILER = "inductor"  # torch's own
# the ends of the names that absolute position tables have in transformers
TABLES = ("position_embeddings", "wpe", "embed_positions")


class Pooling(StrEnum):
    """What of the last layer a classification head sees."""

    pooler = "pooler"  # the model's own pooler: dense and tanh of the first token
    first = "first"
    mean = "mean"
    last = "last"  # where a decoder has seen the whole text


class Backbone(nn.Module):
    """A pretrained model behind one interface: `Inputs` in, hidden states of every token out.

    Of an encoder-decoder these are the decoder's. Where a batch has nothing written, that reads the
    text, as in BART's classification (Lewis et al. 2020, section 3.1). `made` names the parameters
    that the checkpoint did not hold, such as RoBERTa's pooler.
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
        quicken(model)
        self.injection: Injection = inject(model, self.words.embedding_dim)
        self._compiled: Callable[..., Any] | None = None
        self._accepts = set(inspect.signature(model.forward).parameters)
        if not any(name.endswith("token_type_embeddings") for name, _ in model.named_modules()):
            self._accepts -= {"token_type_ids"}  # GPT-2 would add the embeddings of these ids

    def use_compiler(self, wanted: bool) -> None:
        """Whether torch compiles the passes from now on, for batches of any shape."""
        self._compiled = None
        if wanted:  # asking torch.compile takes a second
            self._compiled = torch.compile(self.model.forward, dynamic=True, backend=COMPILER)

    @property
    def width(self) -> int:
        return self.model.config.hidden_size

    @property
    def dropout(self) -> float:
        """The share of hidden units dropped in the backbone's training, used by heads too."""
        config = self.model.config
        names = ("hidden_dropout_prob", "dropout", "dropout_rate", "resid_pdrop")
        return next((getattr(config, name) for name in names if hasattr(config, name)), 0.0)

    @property
    def has_lm_head(self) -> bool:
        return self._lm_loader is not None

    @property
    def fills_masks(self) -> bool:
        """Whether its LM head answers a mask token, as a masked language model's does."""
        return self.has_lm_head and self.tokenizer.mask_token_id is not None

    @property
    def two_stacks(self) -> bool:
        """Whether it is an encoder-decoder; such models count positions themselves."""
        return self.model.config.is_encoder_decoder

    @cached_property
    def _positions(self) -> nn.Embedding | None:
        for name, module in self.model.named_modules():
            if name.endswith(TABLES) and isinstance(module, nn.Embedding):
                return module
        return None

    @property
    def position_limit(self) -> int | None:
        """How many positions text and prompt may take, by the table or by how it was trained.

        None where positions are relative and without bound.
        """
        table = self._positions
        if table is None:
            return getattr(self.model.config, "max_position_embeddings", None)
        return table.num_embeddings - max(self._first_position, getattr(table, "offset", 0))

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
            self.words(batch.ids),
            batch.mask,
            batch.types,
            self.positions(batch.mask, shift),
            written=None if batch.written is None else self.words(batch.written),
        )

    def embedded(
        self,
        words: Float[Tensor, "rows tokens width"],
        types: Int[Tensor, "rows tokens"],
        positions: Int[Tensor, "rows tokens"],
    ) -> Float[Tensor, "rows tokens width"]:
        """The output of the whole embedding block.

        Raises BackboneError where the architecture has none that stands alone.
        """
        block: Any = getattr(self.model, "embeddings", None)
        if block is None or "position_ids" not in inspect.signature(block.forward).parameters:
            raise BackboneError(
                f"architecture '{self.model.config.model_type}' has no embedding block with "
                "positions to pass twice; set method.embed_twice=false"
            )
        return block(
            None,
            inputs_embeds=words,
            **self.accepted(token_type_ids=types, position_ids=positions),
        )

    @cached_property
    def stack(self) -> Stack | None:
        """Its layers, where a pass can end below one of them and begin there."""
        return Stack.of(self.model, len(self.injection.calls))

    def forward(self, inputs: Inputs) -> Float[Tensor, "rows tokens width"]:
        self.injection.prefix = inputs.prefix
        if inputs.states is None or self.stack is None:
            hidden = self._pass(inputs)
        else:
            with self.stack.entered(inputs.depth, inputs.states):
                hidden = self._pass(inputs)
        if not recomputes(self.model):
            self.injection.prefix = ()  # or its rows would lie in memory until the next pass
        return hidden

    @torch.no_grad()
    def below(self, inputs: Inputs, depth: int) -> Float[Tensor, "rows tokens width"]:
        """What enters layer `depth` of a `stack`."""
        assert self.stack is not None
        self.injection.prefix = inputs.prefix
        return self.stack.below(depth, lambda: self._pass(inputs))

    def _pass(self, inputs: Inputs) -> Float[Tensor, "rows tokens width"]:
        given: dict[str, Any] = {
            "inputs_embeds": inputs.embeds,
            "attention_mask": inputs.mask.long(),
            **self.accepted(token_type_ids=inputs.types, position_ids=inputs.positions),
            **self.accepted(use_cache=False),  # a recomputed layer would fill it twice
            **self._decoder(inputs),
        }
        if self._compiled is None:
            return self.model(**given).last_hidden_state
        try:
            return self._compiled(**given).last_hidden_state
        except Exception as error:  # of any class: torch's own is known once its compiler is loaded
            from torch._dynamo.exc import TorchDynamoException

            if not isinstance(error, TorchDynamoException):
                raise
            raise BackboneError(
                f"train.compile=true: torch cannot compile '{self.model.config.model_type}' here "
                f"({' '.join(str(error).split())[:300]}); set train.compile=false, or install a "
                "C++ compiler where it misses one"
            ) from error

    def _decoder(self, inputs: Inputs) -> dict[str, Tensor]:
        """What an encoder-decoder's decoder reads: what it writes, behind the token that starts."""
        if not self.two_stacks:
            return {}
        written = inputs.embeds if inputs.written is None else inputs.written
        start = torch.tensor([[self.model.config.decoder_start_token_id]], device=written.device)
        first = self.words(start).expand(len(written), -1, -1)
        return {"decoder_inputs_embeds": torch.cat([first, written[:, :-1]], 1)}

    def accepted(self, **arguments: Any) -> dict[str, Any]:
        """Those of the arguments that the architecture knows."""
        return {name: value for name, value in arguments.items() if name in self._accepts}

    def pool(
        self, hidden: Float[Tensor, "rows tokens width"], text: Bool[Tensor, "rows tokens"]
    ) -> Float[Tensor, "rows width"]:
        """One vector a row, from the places of text alone."""
        if self.pooling is Pooling.mean:
            weights = text[..., None].to(torch.promote_types(hidden.dtype, torch.float32))
            return (hidden * weights).sum(1) / weights.sum(1)
        rows = torch.arange(len(hidden), device=hidden.device)
        if self.pooling is Pooling.last:
            return hidden[rows, text.cumsum(1).argmax(1)]  # the sum stops growing at the last one
        first = hidden[rows, text.int().argmax(1)]
        if self.pooling is Pooling.first:
            return first
        pooler: Any = self.model.pooler
        return pooler(first[:, None])

    @cached_property
    def lm_head(self) -> LMHead:
        """The checkpoint's masked-LM head, loaded when first asked for.

        Raises BackboneError where the checkpoint has none.
        """
        if self._lm_loader is None:
            raise BackboneError("this backbone has no LM head (its model file says lm_head: false)")
        return LMHead(self._lm_loader(), self.model)
