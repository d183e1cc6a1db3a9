"""MiniMax-M2: grouped-query attention with norms over all heads, 256 experts, eight per token."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert."""
    config.names(num_experts="num_local_experts")
    norm = "all" if config.flag("use_qk_norm", True) else ""
    return config.plain(config.attention(qk_norm=norm), config.moe("intermediate_size", router_bias=True))


PART = fields
