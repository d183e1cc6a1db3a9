"""What the GPUs of a run cost: price per hour times all that are owned times simulated time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOUR = 3600.0


def hourly_price(facts: Mapping[str, Any]) -> float | None:
    """USD per GPU and hour: ``prices.usd_per_gpu_hour`` as a number or the median of ``{low, median, high}``."""
    price = (facts.get("prices") or {}).get("usd_per_gpu_hour")
    if isinstance(price, Mapping):
        price = price.get("median")
    return None if price is None else float(price)


def cost_usd(facts: Mapping[str, Any]) -> float | None:
    """USD for the whole run, or ``None`` when nobody gave a price."""
    price = hourly_price(facts)
    if price is None:
        return None
    return price * int(facts["gpus_owned"]) * float(facts["simulated_seconds"]) / HOUR
