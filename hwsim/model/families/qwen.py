"""Qwen (first generation): multi-head attention with biases; ``intermediate_size`` is gate and up together."""

from __future__ import annotations

from typing import Any

from hwsim.model.parts.dense import Dense
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Half of ``intermediate_size`` is the inner width."""
    width = config.count("intermediate_size") // 2 or 1
    head = config.hidden // config.count("num_attention_heads") or 1
    attention = config.attention(qkv_bias=True, head_dim=config.count("kv_channels", head))
    return config.plain(attention, Dense(width), positions=config.count("seq_length", 8192))


PART = fields
