"""A small random config of every family of backbones that the suite supports."""

from typing import Any

_BERT = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_DISTILBERT = {
    "vocab_size": 120,
    "dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
_MODERNBERT = {
    **{k: v for k, v in _BERT.items() if "dropout" not in k},
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "global_attn_every_n_layers": 2,
    "local_attention": 4,
    "reference_compile": False,
}
_DEBERTA = {
    **_BERT,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": -1,
    "type_vocab_size": 0,
}
_DEBERTA_V2 = {
    **_DEBERTA,
    "position_buckets": 8,
    "share_att_key": True,
    "position_biased_input": False,
    "norm_rel_ebd": "layer_norm",
    "conv_kernel_size": 3,
    "conv_act": "gelu",
}
_GPT2 = {
    "vocab_size": 120,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 64,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "bos_token_id": 2,
    "eos_token_id": 2,
}
# grouped queries: four heads share two keys and values
_LLAMA = {
    **{k: v for k, v in _BERT.items() if "dropout" not in k},
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_BART = {
    "vocab_size": 120,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
_T5 = {
    "vocab_size": 120,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}
BLOCKS = ("bert", "roberta", "electra", "distilbert")  # with an embedding block, layers as BERT's
DECODERS = ("gpt2", "llama", "qwen3", "gemma3_text", "glm4")
PAIRS = ("bart", "t5")  # encoder and decoder
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "roberta": {**_BERT, "pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {**_BERT, "pad_token_id": 1, "type_vocab_size": 1},
    "electra": {**_BERT, "embedding_size": 16},
    "albert": {**_BERT, "embedding_size": 16},
    "distilbert": _DISTILBERT,
    "modernbert": _MODERNBERT,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA_V2,
    "gpt2": _GPT2,
    "llama": _LLAMA,
    "qwen3": _LLAMA,
    "gemma3_text": {**_LLAMA, "sliding_window": 4, "query_pre_attn_scalar": 8},
    "glm4": _LLAMA,
    "bart": _BART,
    "t5": _T5,
}
