"""A network link of one product: bandwidth per direction, latency, overhead of a message."""

from __future__ import annotations

PART: dict[str, str] = {
    "bandwidth": "bytes/s",
    "latency": "s",
    "message_overhead": "s",
    "price": "usd",
}
