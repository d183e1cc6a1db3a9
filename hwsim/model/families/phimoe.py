"""Phi-3.5-MoE and Phi-mini-MoE: sixteen experts, two per token, LayerNorms and biases in attention."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``lm_head_bias`` adds a bias to the head."""
    bias = config.flag("attention_bias", True)
    attention = config.attention(qkv_bias=bias, output_bias=bias, window=config.window())
    extras = (("head bias", config.count("vocab_size")),) if config.flag("lm_head_bias", True) else ()
    return config.plain(attention, config.moe("intermediate_size"), norm_bias=True, final_norm_bias=True, extras=extras)


PART = fields
