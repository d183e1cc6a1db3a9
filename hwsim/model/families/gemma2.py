"""Gemma-2: every other layer attends within a window, four norms per layer, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Even layers slide."""
    window = config.window()
    blocks = [
        Block(config.attention(window=window if kind == "sliding_attention" else None), config.dense(), norms=4)
        for kind in config.layer_types(2)
    ]
    return config.body(blocks, tie=True)


PART = fields
