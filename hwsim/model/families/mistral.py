"""Mistral 7B and Nemo: a Llama block; version 0.1 attends within a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Only the window differs from a plain block."""
    return {"sliding_window": config.get("sliding_window")}


PART = fields
