"""Processor sockets: cores, peaks per socket, DRAM bandwidth per socket, the way to the other socket, power, price."""

from __future__ import annotations

PART: dict[str, str] = {
    "sockets": "count",
    "cores": "count",
    "clock": "1/s",
    "peak.fp32": "flop/s",
    "peak.bf16": "flop/s",
    "peak.int8": "flop/s",
    "achieved.bf16": "flop/s",
    "achieved.int8": "flop/s",
    "dram.bandwidth": "bytes/s",
    "dram.achieved": "bytes/s",
    "dram.latency": "s",
    "dram.channels": "count",
    "remote.bandwidth": "bytes/s",
    "remote.latency": "s",
    "tdp": "W",
    "idle_power": "W",
    "price": "usd",
}
