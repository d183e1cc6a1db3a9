"""BLOOM: ALiBi, LayerNorms with one more on the embedding, biases, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """The context is free; 2048 in training."""
    config.names(num_hidden_layers="n_layer", num_attention_heads="n_head")
    hidden = config.hidden
    extras = (("embedding norm", 2 * hidden),)
    attention = config.attention(qkv_bias=True, output_bias=True)
    more = {"positions": 2048, "extras": extras, "final_norm_bias": True}
    return config.plain(attention, config.dense(4 * hidden, gated=False, bias=True), tie=True, norm_bias=True, **more)


PART = fields
