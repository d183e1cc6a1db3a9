"""A network link of one product: bandwidth per direction, latency, overhead of a message."""

from __future__ import annotations

PART: dict[str, str] = {
    "bandwidth": "bytes/s",
    "latency": "s",
    "message_overhead": "s",
    "by_size": "message: bytes -> throughput: bytes/s",
    "tdp": "W",
    "price": "usd",
}
