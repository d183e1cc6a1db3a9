"""InternLM2 and 2.5: a Llama block whose query, key and value are one matrix."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``bias`` on the projections of attention."""
    bias = config.flag("bias")
    return config.plain(config.attention(qkv_bias=bias, output_bias=bias), config.dense())


PART = fields
