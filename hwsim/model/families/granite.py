"""Granite 3 (dense): a Llama block, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` and ``mlp_bias`` as in Llama."""
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    return config.plain(attention, config.dense(bias=config.flag("mlp_bias")), tie=True)


PART = fields
