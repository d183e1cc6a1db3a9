"""Command R7B and A: three window layers to one over all tokens, side by side blocks, tied table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``sliding_window_pattern`` is the length of a group."""
    every, window = config.count("sliding_window_pattern", 4), config.window()
    full = config.attention()
    slide = replace(full, window=window)
    blocks = [
        Block(full if kind == "full_attention" else slide, config.dense(), norms=1, parallel=True)
        for kind in config.layer_types(every)
    ]
    return config.body(blocks, tie=True)


PART = fields
