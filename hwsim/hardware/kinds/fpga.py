"""A programmable card with a memory of its own (HBM or DDR) behind PCIe, and on-chip buffers."""

from __future__ import annotations

PART: dict[str, str] = {
    "peak.int8": "flop/s",
    "peak.int4": "flop/s",
    "peak.fp16": "flop/s",
    "dsps": "count",
    "clock": "1/s",
    "buffer": "bytes",
    "hbm.capacity": "bytes",
    "hbm.bandwidth": "bytes/s",
    "ddr.capacity": "bytes",
    "ddr.bandwidth": "bytes/s",
    "pcie.bandwidth": "bytes/s",
    "pcie.latency": "s",
    "tdp": "W",
    "active_power": "W",
    "idle_power": "W",
    "pj_per_flop": "J/flop",
    "pj_per_byte": "J/bytes",
    "price": "usd",
}
