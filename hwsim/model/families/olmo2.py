"""OLMo-2: norms after the parts instead of before, and over all heads of queries and keys."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Nothing is optional."""
    return config.plain(config.attention(qk_norm="all"), config.dense())


PART = fields
