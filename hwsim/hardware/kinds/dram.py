"""Main memory of a node: all sockets together, shared by processors and every copy through it."""

from __future__ import annotations

PART: dict[str, str] = {
    "capacity": "bytes",
    "usable": "bytes",
    "bandwidth": "bytes/s",
    "read_bandwidth": "bytes/s",
    "write_bandwidth": "bytes/s",
    "latency": "s",
    "loaded_latency": "bandwidth: bytes/s -> latency: s",
    "channels": "count",
    "idle_power": "W",
    "pj_per_byte": "J/bytes",
    "price": "usd",
}
