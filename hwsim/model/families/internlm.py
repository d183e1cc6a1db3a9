"""InternLM: a Llama block with multi-head attention; ``bias`` on all four projections in the 7B."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """The 20B has no biases."""
    bias = config.flag("bias")
    return config.plain(config.attention(qkv_bias=bias, output_bias=bias), config.dense())


PART = fields
