"""DBRX: sixteen experts, four per token; sizes of attention and experts stand in sections of their own."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attn_config`` and ``ffn_config``; LayerNorms without bias."""
    config.names(hidden_size="d_model", num_hidden_layers="n_layers", num_attention_heads="n_heads")
    attention, ffn = config.section("attn_config"), config.section("ffn_config")
    inner = Reader({**config.config, **attention, **ffn}, config.changed, config.where)
    inner.names(num_experts="moe_num_experts", num_experts_per_tok="moe_top_k", num_key_value_heads="kv_n_heads")
    block = Block(inner.attention(), inner.moe("ffn_hidden_size"))
    found = config.body([block] * config.layers)
    config.problems += inner.problems
    return found


PART = fields
