"""A machine: its own figures; the devices in it are products of other kinds, each with a count.

``pcie_switch`` describes equal PCIe switches: how many, the bandwidth of the upstream port (per direction) that all
behind one share, and how many GPUs, NICs, drives and CXL cards are behind each; what is left is at the sockets.
"""

from __future__ import annotations

PART: dict[str, str] = {
    "gpu_slots": "count",
    "pcie_switch.count": "count",
    "pcie_switch.bandwidth": "bytes/s",
    "pcie_switch.latency": "s",
    "pcie_switch.ports": "count",
    "pcie_switch.gpus": "count",
    "pcie_switch.nics": "count",
    "pcie_switch.ssds": "count",
    "pcie_switch.cxls": "count",
    "nvswitch_power": "W",
    "idle_power": "W",
    "tdp": "W",
    "pue": "number",
    "price": "usd",
    "hourly_price.low": "usd/h",
    "hourly_price.median": "usd/h",
    "hourly_price.high": "usd/h",
}
