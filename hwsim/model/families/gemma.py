"""Gemma: a Llama block with wide heads and a tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Nothing is optional."""
    return config.plain(config.attention(), config.dense(), tie=True)


PART = fields
