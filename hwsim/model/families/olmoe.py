"""OLMoE: multi-head attention with norms over all heads, 64 experts, eight per token."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert."""
    return config.plain(config.attention(qk_norm="all"), config.moe("intermediate_size"))


PART = fields
