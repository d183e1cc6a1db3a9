"""Persimmon: plain squared-ReLU network, LayerNorm per head on queries and keys, biases, untied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``qk_layernorm`` false drops the norms of heads."""
    norm = "layer" if config.flag("qk_layernorm", True) else ""
    attention = config.attention(qkv_bias=True, output_bias=True, qk_norm=norm)
    inner = config.dense(gated=False, bias=True)
    return config.plain(attention, inner, norm_bias=True, final_norm_bias=True)


PART = fields
