"""Jamba: seven Mamba-1 layers to one of attention, experts in every other layer."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.mamba import Mamba
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Periods and offsets of attention and experts as written."""
    attention, hidden = config.attention(), config.hidden
    rank = config.get("mamba_dt_rank", "auto")
    rank = -(-hidden // 16) if rank == "auto" else config.count("mamba_dt_rank")
    inner = config.count("mamba_expand", 2) * hidden
    kernel, states = config.count("mamba_d_conv", 4), config.count("mamba_d_state", 16)
    scan = Mamba(inner, states, kernel, rank, norms=True, conv_bias=config.flag("mamba_conv_bias", True))
    moe, dense = config.moe("intermediate_size"), config.dense()
    full, start = config.count("attn_layer_period", 8), config.count("attn_layer_offset", 4, least=0)
    every, first = config.count("expert_layer_period", 2), config.count("expert_layer_offset", 1, least=0)
    blocks = [
        Block(attention if i % full == start else scan, moe if i % every == first else dense)
        for i in range(config.layers)
    ]
    return config.body(blocks)


PART = fields
