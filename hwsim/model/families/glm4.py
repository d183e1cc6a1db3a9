"""GLM-4-0414: GLM with four norms per layer."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``attention_bias`` as written."""
    return config.plain(config.attention(qkv_bias=config.flag("attention_bias")), config.dense(), norms=4)


PART = fields
