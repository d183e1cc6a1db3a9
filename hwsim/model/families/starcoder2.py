"""StarCoder2: grouped-query attention within a window, LayerNorms, biases, plain GELU, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``use_bias`` puts a bias on every matrix."""
    bias = config.flag("use_bias", True)
    attention = config.attention(qkv_bias=bias, output_bias=bias, window=config.window())
    inner = config.dense(gated=False, bias=bias)
    return config.plain(attention, inner, tie=True, norm_bias=True, final_norm_bias=True)


PART = fields
