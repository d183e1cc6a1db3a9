"""DeepSeek-V3, R1, V3.1, V3.2, Kimi-K2, GLM-5: latent attention, dense first layers, many experts and a shared one."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block, Run
from hwsim.model.parts.mla import Indexer, Mla
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """A correcting bias per expert balances the router."""
    return body(config, router_bias=True)


def body(config: Reader, *, router_bias: bool) -> dict[str, Any]:
    """Layers of the DeepSeek families; sparse attention where the config has an indexer."""
    config.names(num_experts="n_routed_experts", num_shared_experts="n_shared_experts")
    indexer = None
    if config.get("index_topk"):
        indexer = Indexer(*(config.count(name) for name in ("index_n_heads", "index_head_dim", "index_topk")))

    def mla(shared: bool = False) -> Mla:
        return Mla(
            config.count("num_attention_heads"),
            *(config.count(n) for n in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")),
            q_lora_rank=config.count("q_lora_rank") if config.get("q_lora_rank") else None,
            indexer=indexer,
            shared_index=shared,
        )

    width = config.count("moe_intermediate_size")
    shared = config.count("num_shared_experts", 0, least=0) * width
    moe = config.moe(shared_intermediate_size=shared, router_bias=router_bias)
    first, step = config.count("first_k_dense_replace", 0, least=0), config.count("moe_layer_freq", 1)
    dense = config.dense() if first or step > 1 else None
    shares = _shares(config, first)
    blocks = [Block(mla(shared), dense if i < first or i % step else moe) for i, shared in enumerate(shares)]
    hidden, mtp = config.hidden, config.count("num_nextn_predict_layers", 0, least=0)
    extra = mtp * (2 * hidden * hidden + 3 * hidden)
    return config.body(blocks, mtp=(Run(mtp, Block(mla(), moe)),) if mtp else (), mtp_extra=extra)


def _shares(config: Reader, first: int) -> list[bool]:
    """Which layers use the indexer's choice of an earlier one: as listed, or all but the first and every few."""
    layers, listed = config.layers, config.get("indexer_types")
    if isinstance(listed, list) and len(listed) >= layers:
        return [kind == "shared" for kind in listed[:layers]]
    every = config.count("index_topk_freq", 1)
    return [i >= first and (i - first + 1) % every != 0 for i in range(layers)]


PART = fields
