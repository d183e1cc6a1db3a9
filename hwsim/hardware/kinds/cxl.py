"""A CXL memory card: capacity, bandwidth read and written, idle latency."""

from __future__ import annotations

PART: dict[str, str] = {
    "capacity": "bytes",
    "usable": "bytes",
    "bandwidth": "bytes/s",
    "read_bandwidth": "bytes/s",
    "write_bandwidth": "bytes/s",
    "latency": "s",
    "interleave": "bytes",
    "price": "usd",
}
