"""What a system owns, with the power it draws and what it costs to keep: plain figures for energy and cost.

Everything that is powered counts, used or not: GPUs, processors, memory, drives, NICs, boards and network switches.
Simplification: hosts draw their idle power; only GPUs are charged for their work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwsim.hardware.power import draw

if TYPE_CHECKING:
    from hwsim.hardware.node import Node
    from hwsim.hardware.system import Group, System

DIMM_WATTS = 2.0  # per module: LLMServingSim configs
DIMM_BYTES = 64e9  # a module of a server; about, own knowledge
PRICES = ("low", "median", "high")


def owned(system: System, used: Mapping[str, int]) -> dict[str, Any]:
    """GPUs by group with what they draw and cost, hosts and switches, and what nobody knows.

    ``used`` counts the GPUs by group that something runs on.  Powers in W, energies in pJ, prices in USD per hour for
    all that the group owns (``low``, ``median``, ``high``, or None when nobody gave one).
    """
    unknown: list[str] = []
    groups = {name: _group(group, used.get(name, 0), unknown) for name, group in system.groups.items()}
    return {
        "groups": groups,
        "network_w": _switches(system, unknown),
        "pue": max((group.node.get("pue", 1.0) or 1.0 for group in system.groups.values()), default=1.0),
        "unknown": list(dict.fromkeys(unknown)),
    }


def _group(group: Group, used: int, unknown: list[str]) -> dict[str, Any]:
    node = group.node
    gpu = node.devices.get("gpu")
    prices, source = _prices(node)
    return {
        "nodes": group.nodes,
        "gpu": gpu.name if gpu is not None else None,
        "gpus": group.gpus,
        "used": min(used, group.gpus),
        **draw(gpu),
        "host_w": _host(node, unknown) * group.nodes,
        "usd_per_hour": {key: value * group.nodes for key, value in prices.items()} if prices else None,
        "price_source": source,
    }


def _host(node: Node, unknown: list[str]) -> float:
    """Idle power of a node without its GPUs; what is not known is named and left out."""
    watts = node.get("idle_power", 0.0) or 0.0
    watts += node.get("nvswitch_power", 0.0) or 0.0
    for role, device in node.devices.items():
        if role == "gpu":
            continue
        idle = device.get("idle_power")
        if idle is None and role == "dram":
            capacity = device.get("capacity")
            idle = None if capacity is None else DIMM_WATTS * capacity / DIMM_BYTES
        if idle is None:
            unknown.append(f"{device.name if device.name != role else f'{role} of {node.name}'}")
        else:
            watts += idle * (device.count if role != "dram" else 1)
    return watts


def _switches(system: System, unknown: list[str]) -> float:
    """Power of the network's switches; a single node needs none."""
    if system.nodes == 1:
        return 0.0
    switch = system.network.wire.switch
    if switch is None:
        unknown.append("network switches")
        return 0.0
    watts = switch.get("idle_power", switch.get("tdp"))
    if watts is None:
        unknown.append(switch.name)
        return 0.0
    return watts * system.network.switches()


def _prices(node: Node) -> tuple[dict[str, float] | None, str]:
    """USD per hour of a whole node: its own price, else that of its GPUs; and where it was read."""
    own = {key: value for key in PRICES if (value := node.get(f"hourly_price.{key}")) is not None}
    figures = node.figures
    count = 1
    gpu = node.devices.get("gpu")
    if not own and gpu is not None:
        own, figures, count = gpu.hourly_price() or {}, gpu.figures, gpu.count
    if not own:
        return None, ""
    source = next(figures[f"hourly_price.{key}"].source for key in PRICES if f"hourly_price.{key}" in figures)
    return {key: value * count for key, value in own.items()}, source
