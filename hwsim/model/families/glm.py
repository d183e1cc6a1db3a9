"""GLM-4 9B (Hugging Face layout): grouped-query attention with biases on query, key and value."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` as written."""
    return config.plain(config.attention(qkv_bias=config.flag("attention_bias", True)), config.dense())


PART = fields
