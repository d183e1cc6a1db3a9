"""Llama-4: three layers within chunks to one over all tokens, one routed expert beside a shared one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.dense import Dense
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``interleave_moe_layer_step`` says which layers have experts, ``intermediate_size_mlp`` the dense width."""
    config.names(num_experts="num_local_experts")
    width, step = config.count("intermediate_size"), config.count("interleave_moe_layer_step", 1)
    moe = config.moe("intermediate_size", shared_intermediate_size=width)
    sparse = config.indices("moe_layers") or {i for i in range(config.layers) if (i + 1) % step == 0}
    dense = Dense(config.count("intermediate_size_mlp", 2 * width))
    chunk = config.window("attention_chunk_size")
    full = config.attention()
    chunked = replace(full, window=chunk, chunked=chunk is not None)
    blocks = [
        Block(full if kind == "full_attention" else chunked, moe if i in sparse else dense)
        for i, kind in enumerate(config.layer_types(4, other="chunked_attention"))
    ]
    return config.body(blocks)


PART = fields
