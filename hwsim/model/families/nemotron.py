"""Nemotron-4 and Minitron: squared-ReLU network, LayerNorms, grouped-query attention, no biases."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` and ``mlp_bias`` as written."""
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    inner = config.dense(gated=False, bias=config.flag("mlp_bias"))
    return config.plain(attention, inner, norm_bias=True, final_norm_bias=True)


PART = fields
