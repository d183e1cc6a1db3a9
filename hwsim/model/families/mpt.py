"""MPT: ALiBi, LayerNorms without bias, no biases, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.parts.dense import Dense
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``expansion_ratio`` times hidden is the inner width."""
    config.names(hidden_size="d_model", num_hidden_layers="n_layers", num_attention_heads="n_heads")
    kv = config.section("attn_config").get("kv_n_heads")
    inner = Dense(config.count("expansion_ratio", 4) * config.hidden, gated=False)
    return config.plain(config.attention(**({"kv_heads": kv} if kv else {})), inner, tie=True)


PART = fields
