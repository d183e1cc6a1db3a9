"""Qwen3-Next: three gated delta layers to one of gated attention, many small experts and a gated shared one."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block, Run
from hwsim.model.parts.gated_delta import GatedDelta
from hwsim.model.reader import Reader


def alternating(config: Reader) -> tuple[Any, list[Any]]:
    """Gated attention with a norm per head, and the mixer of every layer: that one, or a gated delta rule."""
    bias = config.flag("attention_bias")
    full = config.attention(qkv_bias=bias, output_bias=bias, qk_norm="head", gate=True)
    linear = GatedDelta(
        config.count("linear_num_key_heads"),
        config.count("linear_num_value_heads"),
        config.count("linear_key_head_dim"),
        config.count("linear_value_head_dim"),
        config.count("linear_conv_kernel_dim", 4),
    )
    every = config.count("full_attention_interval", 4)
    return full, [full if kind == "full_attention" else linear for kind in config.layer_types(every, other="linear")]


def fields(config: Reader) -> dict[str, Any]:
    """``decoder_sparse_step`` and ``mlp_only_layers`` choose dense layers; one layer predicts further tokens."""
    full, mixers = alternating(config)
    moe = config.moe(shared_intermediate_size=config.count("shared_expert_intermediate_size"), shared_gate=True)
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    blocks = [
        Block(mixer, moe if i not in dense and (i + 1) % step == 0 else config.dense())
        for i, mixer in enumerate(mixers)
    ]
    hidden, mtp = config.hidden, config.count("num_nextn_predict_layers", 1, least=0)
    extra = mtp * (2 * hidden * hidden + 3 * hidden)
    return config.body(blocks, mtp=(Run(mtp, Block(full, moe)),) if mtp else (), mtp_extra=extra)


PART = fields
