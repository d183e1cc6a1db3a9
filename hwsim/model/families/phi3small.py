"""Phi-3-small: grouped-query attention with biases; dense and block-sparse layers alternate."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """The cache is kept in full; block-sparse layers are counted as dense."""
    config.names(intermediate_size="ff_intermediate_size")
    attention = config.attention(qkv_bias=True, output_bias=True)
    return config.plain(attention, config.dense(bias=True), tie=True, norm_bias=True, final_norm_bias=True)


PART = fields
