"""gpt-oss: window and full layers alternate, a learned sink per head, many experts with biases in 4 bit."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert."""
    config.names(num_experts="num_local_experts")
    moe = config.moe("intermediate_size", expert_bias=True, router_bias=True)
    window = config.window()
    blocks = [
        Block(
            config.attention(
                window=window if kind == "sliding_attention" else None, qkv_bias=True, output_bias=True, sinks=True
            ),
            moe,
        )
        for kind in config.layer_types(2)
    ]
    return config.body(blocks)


PART = fields
