"""ERNIE 4.5 MoE: dense first layers, routed experts beside shared ones, balanced by a bias."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``moe_layer_start_index`` and ``moe_layer_interval`` choose the layers with experts."""
    config.names(
        num_experts="moe_num_experts", num_experts_per_tok="moe_k", num_shared_experts="moe_num_shared_experts"
    )
    bias = config.flag("use_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    shared = config.count("num_shared_experts", 0, least=0) * config.count("moe_intermediate_size")
    moe = config.moe(shared_intermediate_size=shared, router_bias=config.flag("moe_use_aux_free", True))
    first, step = config.count("moe_layer_start_index", 1, least=0), config.count("moe_layer_interval", 1)
    blocks = [
        Block(attention, moe if i >= first and (i + 1) % step == 0 else config.dense()) for i in range(config.layers)
    ]
    return config.body(blocks, tie=True)


PART = fields
