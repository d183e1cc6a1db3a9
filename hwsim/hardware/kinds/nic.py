"""A network card: bandwidth per direction and latency from port to port."""

from __future__ import annotations

PART: dict[str, str] = {
    "bandwidth": "bytes/s",
    "latency": "s",
    "message_overhead": "s",
    "by_size": "message: bytes -> throughput: bytes/s",
    "tdp": "W",
    "idle_power": "W",
    "pj_per_byte": "J/bytes",
    "price": "usd",
}
