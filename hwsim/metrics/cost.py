"""What a run costs: the price per hour of everything owned times simulated time, and the share of the GPUs in use.

A price is dated data with low, median and high; where nobody gave a median, the middle of low and high stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOUR = 3600.0
KEYS = ("low", "median", "high")


def spread(price: object) -> dict[str, float] | None:
    """Low, median and high of a price that has at least one of them, or None."""
    if price is None:
        return None
    if not isinstance(price, Mapping):
        return dict.fromkeys(KEYS, float(price))  # type: ignore[arg-type]
    known = {key: float(price[key]) for key in KEYS if price.get(key) is not None}
    if not known:
        return None
    low, high = known.get("low"), known.get("high")
    middle = known.get("median")
    if middle is None:
        middle = (low + high) / 2 if low is not None and high is not None else low if low is not None else high
    assert middle is not None
    return {"low": middle if low is None else low, "median": middle, "high": middle if high is None else high}


def hourly_price(facts: Mapping[str, Any]) -> float | None:
    """USD per GPU and hour: the median of ``prices.usd_per_gpu_hour``."""
    found = spread((facts.get("prices") or {}).get("usd_per_gpu_hour"))
    return None if found is None else found["median"]


def costs(facts: Mapping[str, Any]) -> dict[str, float | None]:
    """USD for the whole run: ``cost_usd`` (median) of all that is owned with its range, and of the share in use."""
    names = ("cost_usd", "cost_low_usd", "cost_high_usd", "cost_used_usd")
    hours = float(facts["simulated_seconds"]) / HOUR
    parts = _parts(facts)
    if parts is None:
        return dict.fromkeys(names)
    total = {key: sum(price[key] for price, _ in parts) * hours for key in KEYS}
    powered = float((facts.get("fleet") or {}).get("powered_share", 1.0))  # replicas that are stopped are not in use
    used = sum(price["median"] * share for price, share in parts) * hours * powered
    return dict(zip(names, (total["median"], total["low"], total["high"], used), strict=True))


def _parts(facts: Mapping[str, Any]) -> list[tuple[dict[str, float], float]] | None:
    """Price per hour and share in use of each group; None when a price is missing."""
    held = facts.get("owned")
    if held is None:
        price = spread((facts.get("prices") or {}).get("usd_per_gpu_hour"))
        owned = int(facts["gpus_owned"])
        if price is None:
            return None
        whole = {key: value * owned for key, value in price.items()}
        return [(whole, min(1.0, int(facts["gpus_used"]) / owned) if owned else 0.0)]
    found: list[tuple[dict[str, float], float]] = []
    for group in held["groups"].values():
        price = spread(group["usd_per_hour"])
        if price is None:
            return None
        found.append((price, group["used"] / group["gpus"] if group["gpus"] else 0.0))
    return found


def cost_usd(facts: Mapping[str, Any]) -> float | None:
    """USD for the whole run at the median price, or ``None`` when nobody gave one."""
    return costs(facts)["cost_usd"]
