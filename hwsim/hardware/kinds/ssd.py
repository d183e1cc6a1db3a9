"""An NVMe drive or phone flash: bandwidth and rates of small accesses, curves by I/O size and depth, endurance.

``write_bandwidth`` is what writing can keep up; ``burst_write_bandwidth`` what a ``write_cache`` takes before.
``queue_depth`` is how many commands the device takes at a time, ``several_issuers`` the share of its speed that is
left when more than one core sends commands.
"""

from __future__ import annotations

_BY_SIZE = "io_size: bytes, queue_depth: count -> throughput: bytes/s"

PART: dict[str, str] = {
    "capacity": "bytes",
    "usable": "bytes",
    "bandwidth": "bytes/s",
    "read_bandwidth": "bytes/s",
    "write_bandwidth": "bytes/s",
    "burst_write_bandwidth": "bytes/s",
    "write_cache": "bytes",
    "random_read_bandwidth": "bytes/s",
    "read_iops": "1/s",
    "write_iops": "1/s",
    "latency": "s",
    "write_latency": "s",
    "queue_depth": "count",
    "several_issuers": "share",
    "random_read": _BY_SIZE,
    "random_write": _BY_SIZE,
    "sequential_read": _BY_SIZE,
    "sequential_write": _BY_SIZE,
    "issuer.big": "share",
    "issuer.mid": "share",
    "issuer.little": "share",
    "endurance": "bytes",
    "endurance_dwpd": "number",
    "active_power": "W",
    "idle_power": "W",
    "pj_per_byte": "J/bytes",
    "price": "usd",
}
