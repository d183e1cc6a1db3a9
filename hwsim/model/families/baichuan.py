"""Baichuan 1 and 2: a Llama block with multi-head attention."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """The context may stand as ``model_max_length``."""
    return config.plain(config.attention(), config.dense(), positions=config.count("model_max_length", 4096))


PART = fields
