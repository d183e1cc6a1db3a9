"""Processor sockets: cores, peaks per socket, DRAM bandwidth per socket, the way to the other socket, power, price.

``remote.peer_bandwidth`` bounds traffic between devices of two sockets that does not touch memory; ``io.bandwidth``
is what all devices of a socket get through its root complex.  ``boost_clock`` times ``work_per_clock`` (relative to a
core of Skylake) says how fast a single thread is, which is what an engine's host work runs on.
"""

from __future__ import annotations

PART: dict[str, str] = {
    "sockets": "count",
    "cores": "count",
    "clock": "1/s",
    "boost_clock": "1/s",
    "work_per_clock": "ratio",
    "peak.fp32": "flop/s",
    "peak.bf16": "flop/s",
    "peak.fp16": "flop/s",
    "peak.int8": "flop/s",
    "peak.int4": "flop/s",
    "achieved.bf16": "flop/s",
    "achieved.int8": "flop/s",
    "dram.bandwidth": "bytes/s",
    "dram.achieved": "bytes/s",
    "dram.latency": "s",
    "dram.channels": "count",
    "dram.loaded_latency": "bandwidth: bytes/s -> latency: s",
    "remote.bandwidth": "bytes/s",
    "remote.latency": "s",
    "remote.peer_bandwidth": "bytes/s",
    "io.bandwidth": "bytes/s",
    "tdp": "W",
    "idle_power": "W",
    "pj_per_flop": "J/flop",
    "price": "usd",
}
