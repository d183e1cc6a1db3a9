"""An accelerator: dense peaks by number format, HBM, streaming multiprocessors, links, power and price."""

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
    "nvlink.latency": "s",
    "nvlink.message_overhead": "s",
    "pcie.bandwidth": "bytes/s",
    "pcie.latency": "s",
    "pcie.message_overhead": "s",
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
