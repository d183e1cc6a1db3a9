"""DeepSeek-V2: latent attention, dense first layers, routed experts beside shared ones."""

from __future__ import annotations

from typing import Any

from hwsim.model.families.deepseek_v3 import body
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """V2-Lite has no query latent."""
    return body(config, router_bias=False)


PART = fields
