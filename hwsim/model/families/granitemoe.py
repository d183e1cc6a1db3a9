"""Granite 3 MoE: a Llama block with many small experts, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert; shared experts in some."""
    config.names(num_experts="num_local_experts")
    shared = config.count("shared_intermediate_size", 0, least=0)
    return config.plain(config.attention(), config.moe("intermediate_size", shared_intermediate_size=shared), tie=True)


PART = fields
