"""A machine: its own figures; the devices in it are products of other kinds, each with a count."""

from __future__ import annotations

PART: dict[str, str] = {
    "gpu_slots": "count",
    "idle_power": "W",
    "tdp": "W",
    "pue": "number",
    "price": "usd",
    "hourly_price.low": "usd/h",
    "hourly_price.median": "usd/h",
    "hourly_price.high": "usd/h",
}
