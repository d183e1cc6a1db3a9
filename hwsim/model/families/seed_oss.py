"""Seed-OSS: a Llama block with biases on query, key and value."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` and ``attention_out_bias`` as written."""
    attention = config.attention(
        qkv_bias=config.flag("attention_bias", True), output_bias=config.flag("attention_out_bias")
    )
    return config.plain(attention, config.dense(bias=config.flag("mlp_bias")))


PART = fields
