"""Qwen3 (dense): a Llama block with a norm per head on queries and keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Queries and keys are normed; ``attention_bias`` puts a bias on all four projections."""
    bias = bool(config.get("attention_bias", False))
    window = config.get("sliding_window") if config.get("use_sliding_window", False) else None
    return {"attention_bias": bias, "output_bias": bias, "qk_norm": True, "sliding_window": window}


PART = fields
