"""LFM2: gated short convolutions with a few attention layers among them, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.convolution import Convolution
from hwsim.model.parts.dense import Dense
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``layer_types`` or ``full_attn_idxs`` name the attention layers."""
    full, hidden = config.attention(qk_norm="head"), config.hidden
    convolution = Convolution(hidden, config.count("conv_L_cache", 3), branches=3)
    listed, kinds = config.indices("full_attn_idxs"), config.layer_types(3)
    if listed:
        kinds = ["full_attention" if i in listed else "conv" for i in range(config.layers)]
    width = config.count("intermediate_size")
    if config.flag("block_auto_adjust_ff_dim", True):
        step = config.count("block_multiple_of", 256)
        width = -(-(2 * width // 3) // step) * step
    inner = Dense(width)
    blocks = [Block(full if kind == "full_attention" else convolution, inner) for kind in kinds]
    return config.body(blocks, tie=True)


PART = fields
