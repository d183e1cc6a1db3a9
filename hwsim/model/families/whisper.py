"""Whisper: an audio encoder with two convolutions before it and a decoder that attends to it; LayerNorms, biases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.model.block import Block, runs
from hwsim.model.parts.dense import Dense
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Key projections have no bias; positions of the encoder are fixed but stored."""
    config.names(
        hidden_size="d_model", num_hidden_layers="decoder_layers", num_attention_heads="decoder_attention_heads"
    )
    config.names(intermediate_size="decoder_ffn_dim", max_position_embeddings="max_target_positions")
    hidden, bins = config.hidden, config.count("num_mel_bins", 80)
    own = config.attention(qkv_bias=True, output_bias=True)
    seen = replace(own, heads=config.count("encoder_attention_heads"), causal=False)
    seen = replace(seen, kv_heads=seen.heads, head_dim=hidden // seen.heads)
    encoder = Block(seen, Dense(config.count("encoder_ffn_dim"), gated=False, bias=True), norm_bias=True)
    inner = config.dense(gated=False, bias=True)
    decoder = Block(own, inner, norms=3, norm_bias=True, cross=replace(own, causal=False))
    layers, deep = config.layers, config.count("encoder_layers")
    positions = config.count("max_source_positions", 1500) + config.count("max_target_positions", 448)
    extras = (
        ("convolutions", 3 * bins * hidden + 3 * hidden * hidden + 2 * hidden),
        ("positions", positions * hidden),
        ("keys have no bias", -(deep + 2 * layers) * hidden),
    )
    more = {"encoder": runs([encoder] * deep), "extras": extras, "final_norm_bias": True}
    return config.body([decoder] * layers, tie=True, positions=448, **more)


PART = fields
