"""dots.llm1: multi-head attention with norms per head, dense first layers, experts and shared ones."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """A correcting bias per expert balances the router."""
    config.names(num_experts="n_routed_experts", num_shared_experts="n_shared_experts")
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias, qk_norm="head")
    shared = config.count("num_shared_experts", 0, least=0) * config.count("moe_intermediate_size")
    moe = config.moe(shared_intermediate_size=shared, router_bias=True)
    first = config.count("first_k_dense_replace", 0, least=0)
    return config.body([Block(attention, config.dense() if i < first else moe) for i in range(config.layers)])


PART = fields
