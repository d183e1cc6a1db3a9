"""Llama (1, 2, 3, 3.1, 3.2, 3.3), CodeLlama, Vicuna, Yi, Bamboo: grouped-query attention, gated SiLU, RMSNorm."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` puts a bias on all four projections, ``mlp_bias`` on the feed-forward network."""
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    return config.plain(attention, config.dense(bias=config.flag("mlp_bias")))


PART = fields
