"""BERT and BART with prompt keys and values, in plain tensor algebra over their named weights."""

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]
Pairs = list[tuple[Tensor, Tensor]]  # keys and values of each layer, (heads, length, size)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w: Weights, name: str, x: Tensor, epsilon: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def attend(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor, pair: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Attention of one row: queries (T, H), keys and values (S, H), what is hidden (T, S)."""
    heads = 1 if pair is None else len(pair[0])
    parts = [x.unflatten(-1, (heads, -1)).transpose(0, 1) for x in (query, key, value)]
    q, k, v = parts
    if pair is not None:  # all see the prompt
        k, v = torch.cat([pair[0], k], 1), torch.cat([pair[1], v], 1)
        hidden = torch.cat([torch.zeros(len(query), pair[0].shape[1]).bool(), hidden], 1)
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(hidden, -1e30).softmax(-1)
    return (weights @ v).transpose(0, 1).flatten(1)


def pairs(table: Tensor, layers: int, heads: int) -> Pairs:
    """A prompt's rows (P, 2 L H) as the originals read them: key and value of layer after layer."""
    parts = table.unflatten(-1, (2 * layers, heads, -1)).permute(1, 2, 0, 3)
    return [(parts[2 * i], parts[2 * i + 1]) for i in range(layers)]


def bert(
    w: Weights, rows: Tensor, mask: Tensor, types: Tensor, prefix: Pairs, shift: int
) -> Tensor:
    """Hidden states of word embeddings (B, T, H); positions count from `shift` on."""
    return torch.stack(
        [
            _bert_row(w, row, seen, kind, prefix, shift)
            for row, seen, kind in zip(rows, mask, types, strict=True)
        ]
    )


def _bert_row(
    w: Weights, row: Tensor, seen: Tensor, kind: Tensor, prefix: Pairs, shift: int
) -> Tensor:
    tokens = len(row)
    x = row + w["embeddings.token_type_embeddings.weight"][kind]
    x = x + w["embeddings.position_embeddings.weight"][shift : shift + tokens]
    x = norm(w, "embeddings.LayerNorm", x, 1e-12)
    hidden = ~seen.bool().expand(tokens, tokens)
    for number, pair in enumerate(prefix):
        at = f"encoder.layer.{number}"
        q, k, v = (linear(w, f"{at}.attention.self.{n}", x) for n in ("query", "key", "value"))
        out = linear(w, f"{at}.attention.output.dense", attend(q, k, v, hidden, pair))
        x = norm(w, f"{at}.attention.output.LayerNorm", x + out, 1e-12)
        out = linear(w, f"{at}.output.dense", gelu(linear(w, f"{at}.intermediate.dense", x)))
        x = norm(w, f"{at}.output.LayerNorm", x + out, 1e-12)
    return x


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def fill_in(w: Weights, x: Tensor) -> Tensor:
    """BERT's LM head over hidden states."""
    x = gelu(linear(w, "cls.predictions.transform.dense", x))
    x = norm(w, "cls.predictions.transform.LayerNorm", x, 1e-12)
    return x @ w["bert.embeddings.word_embeddings.weight"].T + w["cls.predictions.bias"]


def bart(w: Weights, ids: Tensor, mask: Tensor, read: Tensor, prefix: dict[str, Pairs]) -> Tensor:
    """The decoder's hidden states; `prefix` has the pairs of encoder, decoder and cross."""
    found = []
    for row, seen, written in zip(ids, mask, read, strict=True):
        tokens, words = len(row), len(written)
        hidden = ~seen.bool().expand(tokens, tokens)
        x = _embedded(w, "encoder", row)
        for number, pair in enumerate(prefix["encoder"]):
            at = f"encoder.layers.{number}"
            x = _block(w, f"{at}.self_attn", x, x, hidden, pair)
            x = _fed(w, at, x)
        ahead = torch.ones(words, words).triu(1).bool()
        y = _embedded(w, "decoder", written)
        for number, both in enumerate(zip(prefix["decoder"], prefix["cross"], strict=True)):
            at = f"decoder.layers.{number}"
            y = _block(w, f"{at}.self_attn", y, y, ahead, both[0])
            hidden = ~seen.bool().expand(words, tokens)
            y = _block(w, f"{at}.encoder_attn", y, x, hidden, both[1])
            y = _fed(w, at, y)
        found.append(y)
    return torch.stack(found)


def _embedded(w: Weights, stack: str, ids: Tensor) -> Tensor:
    x = w["shared.weight"][ids] + w[f"{stack}.embed_positions.weight"][2 : 2 + len(ids)]
    return norm(w, f"{stack}.layernorm_embedding", x, 1e-5)


def _block(
    w: Weights, at: str, x: Tensor, source: Tensor, hidden: Tensor, pair: tuple[Tensor, Tensor]
) -> Tensor:
    q = linear(w, f"{at}.q_proj", x)
    k, v = (linear(w, f"{at}.{name}_proj", source) for name in "kv")
    out = linear(w, f"{at}.out_proj", attend(q, k, v, hidden, pair))
    return norm(w, f"{at}_layer_norm", x + out, 1e-5)


def _fed(w: Weights, at: str, x: Tensor) -> Tensor:
    out = linear(w, f"{at}.fc2", F.gelu(linear(w, f"{at}.fc1", x)))
    return norm(w, f"{at}.final_layer_norm", x + out, 1e-5)
