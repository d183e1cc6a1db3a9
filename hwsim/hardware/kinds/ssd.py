"""An NVMe drive or phone flash: read and write bandwidth and rates of small accesses, latency, endurance."""

from __future__ import annotations

PART: dict[str, str] = {
    "capacity": "bytes",
    "usable": "bytes",
    "bandwidth": "bytes/s",
    "read_bandwidth": "bytes/s",
    "write_bandwidth": "bytes/s",
    "random_read_bandwidth": "bytes/s",
    "read_iops": "1/s",
    "write_iops": "1/s",
    "latency": "s",
    "endurance": "bytes",
    "endurance_dwpd": "number",
    "active_power": "W",
    "idle_power": "W",
    "price": "usd",
}
