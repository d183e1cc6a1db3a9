"""ChatGLM2, ChatGLM3 and GLM-4 9B: multi-query groups, bias on query, key and value, untied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``multi_query_group_num`` KV heads; ``kv_channels`` is the head width."""
    config.names(num_hidden_layers="num_layers", vocab_size="padded_vocab_size", intermediate_size="ffn_hidden_size")
    heads = config.count("num_attention_heads")
    kv = config.count("multi_query_group_num", heads) if config.flag("multi_query_attention") else heads
    width = config.count("kv_channels", config.hidden // heads or 1)
    attention = config.attention(kv_heads=kv, head_dim=width, qkv_bias=config.flag("add_qkv_bias", True))
    return config.plain(attention, config.dense(), positions=config.count("seq_length", 8192))


PART = fields
