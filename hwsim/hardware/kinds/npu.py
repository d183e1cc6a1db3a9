"""A neural processor with on-chip buffers that shares the node's memory."""

from __future__ import annotations

PART: dict[str, str] = {
    "buffer": "bytes",
    "bandwidth": "bytes/s",
    "peak.int8": "flop/s",
    "peak.int4": "flop/s",
    "peak.fp16": "flop/s",
    "achieved.int8": "flop/s",
    "achieved.fp16": "flop/s",
    "graph_switch": "s",
    "tdp": "W",
    "idle_power": "W",
    "pj_per_flop": "J/flop",
}
