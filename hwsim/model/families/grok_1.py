"""Grok-1: grouped-query attention, eight experts, two per token, four norms per layer, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert."""
    config.names(num_experts="num_local_experts")
    return config.plain(config.attention(), config.moe("intermediate_size"), norms=4, tie=True)


PART = fields
