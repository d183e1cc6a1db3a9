"""Qwen3 (dense): a Llama block with a norm per head on queries and keys."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` puts a bias on all four projections."""
    bias = config.flag("attention_bias")
    window = config.window() if config.flag("use_sliding_window") else None
    attention = config.attention(qkv_bias=bias, output_bias=bias, qk_norm="head", window=window)
    return config.plain(attention, config.dense())


PART = fields
