"""Llama (1, 2, 3, 3.1, 3.2, 3.3), CodeLlama, Vicuna, Yi: grouped-query attention, gated SiLU, RMSNorm, no biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Model fields that differ from a plain block; ``attention_bias`` puts a bias on all four projections."""
    bias = bool(config.get("attention_bias", False))
    return {"attention_bias": bias, "output_bias": bias, "mlp_bias": bool(config.get("mlp_bias", False))}


PART = fields
