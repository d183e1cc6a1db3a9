"""Qwen3-MoE: Qwen3 attention, routed experts in every layer unless the config says otherwise."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``decoder_sparse_step`` and ``mlp_only_layers`` choose the dense layers."""
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, output_bias=bias, qk_norm="head")
    moe, step, dense = config.moe(), config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    blocks = [
        Block(attention, moe if i not in dense and (i + 1) % step == 0 else config.dense())
        for i in range(config.layers)
    ]
    return config.body(blocks)


PART = fields
