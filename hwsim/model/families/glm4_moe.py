"""GLM-4.5 and 4.6: grouped-query attention with biases, dense first layers, experts and a shared one."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block, Run
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``use_qk_norm`` norms each head."""
    config.names(num_experts="n_routed_experts", num_shared_experts="n_shared_experts")
    bias = config.flag("attention_bias")
    attention = config.attention(qkv_bias=bias, qk_norm="head" if config.flag("use_qk_norm") else "")
    shared = config.count("num_shared_experts", 0, least=0) * config.count("moe_intermediate_size")
    moe = config.moe(shared_intermediate_size=shared, router_bias=True)
    first = config.count("first_k_dense_replace", 0, least=0)
    blocks = [Block(attention, config.dense() if i < first else moe) for i in range(config.layers)]
    hidden, mtp = config.hidden, config.count("num_nextn_predict_layers", 0, least=0)
    extra = mtp * (2 * hidden * hidden + 3 * hidden)
    return config.body(blocks, mtp=(Run(mtp, Block(attention, moe)),) if mtp else (), mtp_extra=extra)


PART = fields
