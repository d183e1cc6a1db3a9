"""OLMo: a Llama block whose norms have no weights."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Only matrices count."""
    return config.plain(config.attention(), config.dense(), norms=0, final_norm=False)


PART = fields
