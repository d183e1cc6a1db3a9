"""MiniMax-Text-01 and M1: seven lightning layers to one of attention, 32 experts, two per token."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.linear import Linear
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attn_type_list`` marks full layers with 1; ``intermediate_size`` is the width of one expert."""
    config.names(num_experts="num_local_experts")
    full = config.attention()
    linear = Linear(full.heads, full.head_dim)
    kinds = config.get("attn_type_list")
    if isinstance(kinds, list) and len(kinds) >= config.layers:
        mixers = [full if kind == 1 else linear for kind in kinds[: config.layers]]
    else:
        mixers = [full if kind == "full_attention" else linear for kind in config.layer_types(8, other="linear")]
    moe = config.moe("intermediate_size")
    return config.body([Block(mixer, moe) for mixer in mixers])


PART = fields
