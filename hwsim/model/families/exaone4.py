"""EXAONE 4: three window layers to one over all tokens, norms per head, norms after the parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``sliding_window_pattern`` may be a word of L and G."""
    pattern = config.get("sliding_window_pattern")
    every = len(pattern) if isinstance(pattern, str) else config.count("sliding_window_pattern", 4)
    full = config.attention(qk_norm="head")
    slide = replace(full, window=config.window())
    kinds = config.layer_types(every)
    return config.body([Block(full if kind == "full_attention" else slide, config.dense()) for kind in kinds])


PART = fields
