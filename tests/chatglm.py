"""ChatGLM-6B, which transformers lacks: the architecture on which P-tuning v2 shipped for GLM.

A text is context, [gMASK], bos, answer. All of it sees the context, which ends with [gMASK]; the
answer is causal. There is no cache.
"""

import math
from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

# sqrt(2 * 28): the released code keeps the 28 layers of ChatGLM-6B here, whatever num_layers says
RESIDUAL = math.sqrt(56)


class ChatGLMConfig(PreTrainedConfig):
    """The sizes and the special ids; the defaults are those of the released model."""

    model_type = "chatglm"
    attribute_map = {"num_hidden_layers": "num_layers"}  # noqa: RUF012  # as transformers declares it

    vocab_size: int = 130528
    hidden_size: int = 4096
    num_layers: int = 28
    num_attention_heads: int = 32
    inner_hidden_size: int = 16384
    layernorm_epsilon: float = 1e-5
    pad_token_id: int = 3
    bos_token_id: int = 130004
    eos_token_id: int = 130005
    tie_word_embeddings: bool = True


def positions(ids: Int[Tensor, "rows tokens"], bos: int) -> Int[Tensor, "rows 2 tokens"]:
    """Two positions a token: counted in the context, then held at [gMASK]; 0, then counted."""
    context = (ids == bos).cumsum(1) == 0
    return torch.stack([context.cumsum(1) - 1, (~context).cumsum(1)], 1)


def visible(
    position_ids: Int[Tensor, "rows 2 tokens"], mask: Tensor | None
) -> Bool[Tensor, "rows 1 tokens tokens"]:
    """What a token sees: the whole context and what precedes it, less what `mask` hides."""
    context = position_ids[:, 1] == 0
    seen = context[:, None] | context.new_ones(2 * context.shape[1:]).tril()
    return (seen if mask is None else seen & mask[:, None].bool())[:, None]


def eager_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention written out, in the form of transformers' registry."""
    scores = (query @ key.mT * scaling).masked_fill(~attention_mask, torch.finfo(query.dtype).min)
    weights = scores.softmax(-1)
    return (weights @ value).transpose(1, 2), weights


class Rotary(nn.Module):
    """The angles by which queries and keys turn; half the head size for each position."""

    def __init__(self, size: int):
        super().__init__()
        self.inv_freq: Tensor
        powers = 10000 ** -(torch.arange(0, size, 2) / size)
        self.register_buffer("inv_freq", powers.half().float())  # so rounded in the released code

    def forward(
        self, position_ids: Int[Tensor, "rows 2 tokens"]
    ) -> Float[Tensor, "rows tokens 2 pairs"]:
        return position_ids.mT[..., None] * self.inv_freq


def turned(
    states: Float[Tensor, "rows heads tokens size"], angles: Float[Tensor, "rows tokens 2 pairs"]
) -> Float[Tensor, "rows heads tokens size"]:
    """Queries or keys, the first half of a head turned by position 0, the second by position 1."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    first, second = states.unflatten(-1, (2, 2, -1)).unbind(-2)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], -2).flatten(-3)


class Attention(nn.Module):
    """Queries, keys and values lie head by head in one matrix."""

    is_causal = False  # the mask is always explicit

    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        self.config: Any = config
        self.heads, width = config.num_attention_heads, config.hidden_size
        self.size = width // self.heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor, angles: Tensor) -> Tensor:
        joint = self.query_key_value(states).unflatten(-1, (self.heads, 3 * self.size))
        query, key, value = joint.transpose(1, 2).chunk(3, -1)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        query, key = turned(query, angles), turned(key, angles)
        # the released model also divides by the layer's number and multiplies again: no difference
        mixed = attend(self, query, key, value, mask, scaling=self.size**-0.5, dropout=0.0)[0]
        return self.dense(mixed.flatten(2))


class Layer(GradientCheckpointingLayer):
    """Attention and feed-forward; what passes by them is normalised and scaled."""

    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        width, inner = config.hidden_size, config.inner_hidden_size
        self.input_layernorm = nn.LayerNorm(width, config.layernorm_epsilon)
        self.attention = Attention(config)
        self.post_attention_layernorm = nn.LayerNorm(width, config.layernorm_epsilon)
        up, down = nn.Linear(width, inner), nn.Linear(inner, width)
        parts = {"dense_h_to_4h": up, "gelu": nn.GELU("tanh"), "dense_4h_to_h": down}
        self.mlp = nn.Sequential(OrderedDict(parts))

    def forward(self, states: Tensor, mask: Tensor, angles: Tensor) -> Tensor:
        states = self.input_layernorm(states)
        states = states * RESIDUAL + self.attention(states, mask, angles)
        states = self.post_attention_layernorm(states)
        return states * RESIDUAL + self.mlp(states)


class ChatGLMPreTrainedModel(PreTrainedModel):
    config_class = ChatGLMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True


class ChatGLMModel(ChatGLMPreTrainedModel):
    """The layers: ids, or embeddings with their positions, to hidden states.

    Embeddings without `position_ids` count as context from end to end.
    """

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        # the angles are equal in all layers: made once, and named as the first layer's
        first: Any = self.layers[0]
        first.attention.rotary_emb = Rotary(config.hidden_size // config.num_attention_heads // 2)
        self.final_layernorm = nn.LayerNorm(config.hidden_size, config.layernorm_epsilon)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.word_embeddings

    def forward(
        self,
        input_ids: Int[Tensor, "rows tokens"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "rows 2 tokens"] | None = None,
        inputs_embeds: Float[Tensor, "rows tokens width"] | None = None,
    ) -> BaseModelOutput:
        states = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            ids = torch.full_like(states[..., 0], -1).long() if input_ids is None else input_ids
            position_ids = positions(ids, self.config.bos_token_id)
        mask = visible(position_ids, attention_mask)
        first: Any = self.layers[0]
        angles = first.attention.rotary_emb(position_ids)
        for layer in self.layers:
            states = layer(states, mask, angles)
        return BaseModelOutput(last_hidden_state=self.final_layernorm(states))


class ChatGLMForCausalLM(ChatGLMPreTrainedModel):
    """The layers with their tied LM head; `labels` are those of the ids, -100 where none counts."""

    _tied_weights_keys = {"lm_head.weight": "transformer.word_embeddings.weight"}  # noqa: RUF012  # as transformers declares it

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.transformer = ChatGLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "rows tokens"] | None = None,
        labels: Int[Tensor, "rows tokens"] | None = None,
        **rest: Any,
    ) -> CausalLMOutput:
        hidden = self.transformer(input_ids=input_ids, **rest).last_hidden_state
        logits, loss = self.lm_head(hidden), None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)
