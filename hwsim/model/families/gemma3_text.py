"""Gemma-3: five window layers to one that sees all, norms per head, four norms per layer, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``sliding_window_pattern`` is the length of a group."""
    window, every = config.window(), config.count("sliding_window_pattern", 6)
    blocks = [
        Block(
            config.attention(window=window if kind == "sliding_attention" else None, qk_norm="head"),
            config.dense(),
            norms=4,
        )
        for kind in config.layer_types(every)
    ]
    return config.body(blocks, tie=True, positions=131072)


PART = fields
