"""Qwen2 and Qwen2.5 (dense): a Llama block with a bias on query, key and value that the config does not write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The bias is hard-wired; a window counts only with ``use_sliding_window``."""
    window = config.get("sliding_window") if config.get("use_sliding_window", False) else None
    return {"attention_bias": True, "sliding_window": window}


PART = fields
