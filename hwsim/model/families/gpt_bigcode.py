"""StarCoder and SantaCoder: GPT-2 with one KV head."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``multi_query`` false is plain GPT-2."""
    config.names(hidden_size="n_embd", num_hidden_layers="n_layer", num_attention_heads="n_head")
    kv = 1 if config.flag("multi_query", True) else config.count("num_attention_heads")
    extras = (("positions", config.count("max_position_embeddings") * config.hidden),)
    attention = config.attention(kv_heads=kv, qkv_bias=True, output_bias=True)
    inner = config.dense(4 * config.hidden, gated=False, bias=True)
    return config.plain(attention, inner, tie=True, norm_bias=True, extras=extras, final_norm_bias=True)


PART = fields
