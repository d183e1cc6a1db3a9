"""A network switch: ports, what a packet waits in it, power and price."""

from __future__ import annotations

PART: dict[str, str] = {
    "ports": "count",
    "latency": "s",
    "tdp": "W",
    "idle_power": "W",
    "price": "usd",
}
