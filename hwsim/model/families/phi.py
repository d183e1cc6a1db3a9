"""Phi-1, 1.5 and 2: attention and feed-forward network side by side after one LayerNorm, biases everywhere."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """The head has a bias too."""
    attention = config.attention(
        qkv_bias=True, output_bias=True, qk_norm="layer" if config.flag("qk_layernorm") else ""
    )
    extras = (("head bias", config.count("vocab_size")),)
    inner = config.dense(gated=False, bias=True)
    return config.plain(attention, inner, norms=1, norm_bias=True, parallel=True, final_norm_bias=True, extras=extras)


PART = fields
