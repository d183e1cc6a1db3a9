"""GPT-2, GPT-3 and Megatron's GPT: learned positions, LayerNorms, biases, inner width 4 x hidden, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``like: gpt`` takes its sizes from the scenario; 2048 positions unless given."""
    if config.config.get("model_type") != "gpt":
        config.names(hidden_size="n_embd", num_hidden_layers="n_layer", num_attention_heads="n_head")
    extras = (("positions", config.count("max_position_embeddings", 2048) * config.hidden),)
    attention = config.attention(qkv_bias=True, output_bias=True)
    more = {"positions": 2048, "extras": extras, "final_norm_bias": True}
    inner = config.dense(4 * config.hidden, gated=False, bias=True)
    return config.plain(attention, inner, tie=True, norm_bias=True, **more)


PART = fields
