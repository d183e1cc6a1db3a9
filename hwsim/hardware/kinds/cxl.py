"""A CXL memory card: capacity, bandwidth read, written and mixed, idle and loaded latency."""

from __future__ import annotations

PART: dict[str, str] = {
    "capacity": "bytes",
    "usable": "bytes",
    "bandwidth": "bytes/s",
    "read_bandwidth": "bytes/s",
    "write_bandwidth": "bytes/s",
    "latency": "s",
    "remote_latency": "s",
    "loaded_latency": "bandwidth: bytes/s -> latency: s",
    "interleave": "bytes",
    "tdp": "W",
    "idle_power": "W",
    "pj_per_byte": "J/bytes",
    "price": "usd",
}
