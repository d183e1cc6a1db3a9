"""GPT-J: attention and feed-forward network side by side after one LayerNorm; biases in the latter and the head."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Inner width 4 x hidden unless given."""
    config.names(hidden_size="n_embd", num_hidden_layers="n_layer", num_attention_heads="n_head")
    extras = (("head bias", config.count("vocab_size")),)
    inner = config.dense(4 * config.hidden, gated=False, bias=True)
    more = {"norm_bias": True, "final_norm_bias": True, "extras": extras}
    return config.plain(config.attention(), inner, norms=1, parallel=True, **more)


PART = fields
