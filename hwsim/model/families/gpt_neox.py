"""GPT-NeoX and Pythia: attention and feed-forward network side by side after two LayerNorms, biases."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``use_parallel_residual`` false puts them one after the other."""
    bias = config.flag("attention_bias", True)
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    parallel = config.flag("use_parallel_residual", True)
    inner = config.dense(gated=False, bias=True)
    return config.plain(attention, inner, norm_bias=True, parallel=parallel, final_norm_bias=True)


PART = fields
