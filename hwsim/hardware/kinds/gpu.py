"""An accelerator: dense peaks by number format, HBM, streaming multiprocessors, links, power and price.

``nvlink`` is the link to other accelerators by whatever name, all peers together (``peer_bandwidth``: to one of them
in a full mesh, ``copy_bandwidth``: what one copy gets); ``pcie`` the link to the host (``both_bandwidth``: both
directions at once); ``zero_copy`` host memory read or written by the accelerator's own loads and stores.
"""

from __future__ import annotations

_FORMATS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8", "int4")

PART: dict[str, str] = {
    **{f"peak.{name}": "flop/s" for name in _FORMATS},
    "hbm.capacity": "bytes",
    "hbm.usable": "bytes",
    "hbm.bandwidth": "bytes/s",
    "hbm.read_bandwidth": "bytes/s",
    "hbm.write_bandwidth": "bytes/s",
    "hbm.latency": "s",
    "l2.capacity": "bytes",
    "l2.bandwidth": "bytes/s",
    "sms": "count",
    "clock": "1/s",
    "nvlink.bandwidth": "bytes/s",
    "nvlink.copy_bandwidth": "bytes/s",
    "nvlink.peer_bandwidth": "bytes/s",
    "nvlink.latency": "s",
    "nvlink.message_overhead": "s",
    "nvlink.by_size": "message: bytes -> throughput: bytes/s",
    "pcie.bandwidth": "bytes/s",
    "pcie.h2d_bandwidth": "bytes/s",
    "pcie.d2h_bandwidth": "bytes/s",
    "pcie.both_bandwidth": "bytes/s",
    "pcie.latency": "s",
    "pcie.message_overhead": "s",
    "pcie.h2d_by_size": "message: bytes -> throughput: bytes/s",
    "pcie.d2h_by_size": "message: bytes -> throughput: bytes/s",
    "zero_copy.h2d_by_size": "message: bytes -> throughput: bytes/s",
    "zero_copy.d2h_by_size": "message: bytes -> throughput: bytes/s",
    "tdp": "W",
    "idle_power": "W",
    "price": "usd",
    "hourly_price.low": "usd/h",
    "hourly_price.median": "usd/h",
    "hourly_price.high": "usd/h",
    "achieved.bf16": "flop/s",
    "achieved.fp8": "flop/s",
    "achieved.hbm": "bytes/s",
    "pj_per_byte": "J/bytes",
    "pj_per_flop": "J/flop",
}
