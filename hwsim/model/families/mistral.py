"""Mistral 7B, Nemo, Small: a Llama block; version 0.1 attends within a sliding window."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Only the window differs from a plain block."""
    return config.plain(config.attention(window=config.window()), config.dense())


PART = fields
