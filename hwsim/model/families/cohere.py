"""Command R: attention and feed-forward network side by side after one LayerNorm without bias, tied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``use_qk_norm`` norms each head with its own weights."""
    attention = config.attention(qk_norm="all" if config.flag("use_qk_norm") else "")
    return config.plain(attention, config.dense(), tie=True, norms=1, parallel=True)


PART = fields
