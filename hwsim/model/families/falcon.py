"""Falcon: multi-query or grouped attention beside the feed-forward network, no biases, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """One LayerNorm per layer in the 7B, two in the new architecture."""
    new = config.flag("new_decoder_architecture")
    heads = config.count("num_attention_heads")
    kv = config.count("num_key_value_heads", heads) if new else (1 if config.flag("multi_query", True) else heads)
    bias = config.flag("bias")
    attention = config.attention(kv_heads=kv, qkv_bias=bias, output_bias=bias)
    parallel = config.flag("parallel_attn", True) or new
    norms = config.count("num_ln_in_parallel_attn", 2) if new else (1 if parallel else 2)
    inner = config.dense(4 * config.hidden, gated=False, bias=bias)
    extra = {"tie": True, "positions": 2048, "final_norm_bias": True}
    return config.plain(attention, inner, norms=norms, norm_bias=True, parallel=parallel, **extra)


PART = fields
