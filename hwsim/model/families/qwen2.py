"""Qwen2 and Qwen2.5 (dense): a Llama block with a bias on query, key and value that the config does not write."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """A window counts only with ``use_sliding_window`` and from layer ``max_window_layers`` on."""
    window = config.window() if config.flag("use_sliding_window") else None
    first = config.count("max_window_layers", 0, least=0) if window is not None else 0
    blocks = [
        Block(config.attention(qkv_bias=True, window=window if i >= first else None), config.dense())
        for i in range(config.layers)
    ]
    return config.body(blocks)


PART = fields
