"""Phi-3, Phi-3.5 and Phi-4 (mini, medium): a Llama block; the window counts when it is below the context."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``window`` is the number of earlier tokens that a query sees."""
    return config.plain(config.attention(window=config.window()), config.dense())


PART = fields
