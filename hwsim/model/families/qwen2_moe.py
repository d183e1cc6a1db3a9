"""Qwen1.5-MoE and Qwen2-MoE: routed experts beside one gated shared expert; some layers may be dense."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``decoder_sparse_step`` and ``mlp_only_layers`` choose the dense layers."""
    attention = config.attention(qkv_bias=True)
    moe = config.moe(shared_intermediate_size=config.count("shared_expert_intermediate_size"), shared_gate=True)
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    blocks = [
        Block(attention, moe if i not in dense and (i + 1) % step == 0 else config.dense())
        for i in range(config.layers)
    ]
    return config.body(blocks)


PART = fields
