"""InternLM3: a Llama block with optional biases."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``qkv_bias`` and ``bias``."""
    attention = config.attention(qkv_bias=config.flag("qkv_bias"), output_bias=config.flag("bias"))
    return config.plain(attention, config.dense(bias=config.flag("bias")))


PART = fields
