"""OLMo-3: OLMo-2 with three window layers to one over all tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``layer_types`` lists the layers."""
    full = config.attention(qk_norm="all")
    slide = replace(full, window=config.window())
    kinds = config.layer_types(4)
    return config.body([Block(full if kind == "full_attention" else slide, config.dense()) for kind in kinds])


PART = fields
