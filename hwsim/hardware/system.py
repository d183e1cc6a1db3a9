"""A system: groups of equal nodes, the capacities their devices offer, and the way bytes take between places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError, nearest
from hwsim.hardware.find import find_node
from hwsim.hardware.node import Node

if TYPE_CHECKING:
    import networkx

    from hwsim.hardware.device import Device


STORAGE = ("ssd", "flash")  # counted in device-seconds
SMALL_HOP = 1e-15  # seconds per byte: of two equally fast ways the one with fewer links is taken


@dataclass(frozen=True)
class Group:
    """``nodes`` equal machines."""

    name: str
    node: Node
    nodes: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return self.node.gpus * self.nodes


class System:
    """Everything that exists, by group.

    Places and capacities are named ``gpu0``, ``gpu0.hbm``; with more than one node the node comes first
    (``fast/0/gpu0.hbm``).  Simplification: nodes are wired by their NICs to one non-blocking switch.
    """

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self.groups = dict(groups)
        self._graph: networkx.DiGraph | None = None

    @classmethod
    def of(cls, spec: Mapping[str, Any], *, where: str = "system") -> System:
        """The system of a mapping: ``{node, nodes}``, or ``{groups: {name: {node, nodes}}}`` with defaults beside."""
        groups = spec.get("groups")
        if groups is None:
            return cls({"nodes": Group("nodes", find_node(spec["node"], where=f"{where}.node"), spec.get("nodes", 1))})
        members: dict[str, Group] = {}
        for name, group in groups.items():
            place = f"{where}.groups.{name}.node"
            merged = {key: value for key, value in spec.items() if key in ("node", "nodes")} | dict(group)
            members[name] = Group(name, find_node(merged["node"], where=place), merged.get("nodes", 1))
        return cls(members)

    @property
    def gpus(self) -> int:
        """Number of GPUs in all."""
        return sum(group.gpus for group in self.groups.values())

    def _prefixes(self) -> list[tuple[str, Node]]:
        if sum(group.nodes for group in self.groups.values()) == 1:
            return [("", group.node) for group in self.groups.values()]
        return [
            (f"{group.name}/{index}/", group.node) for group in self.groups.values() for index in range(group.nodes)
        ]

    def capacities(self, dtype: str = "bf16") -> dict[str, float]:
        """Rates of everything that activities share, at what the data sheet says (bytes/s; FLOP/s of ``dtype``).

        Links have one capacity per direction: ``gpu0.nvlink`` out and ``gpu0.nvlink.in``, ``gpu0.pcie.h2d`` and
        ``gpu0.pcie.d2h``, ``nic.out`` and ``nic.in``.  Storage (``ssd``, ``flash``) is counted in device-seconds per
        second, so its rate is 1: a read takes bytes over read speed of it, a write bytes over write speed.
        """
        found: dict[str, float] = {}
        for prefix, node in self._prefixes():
            for name, rate in _node_capacities(node, dtype).items():
                found[prefix + name] = rate
        return found

    @property
    def topology(self) -> networkx.DiGraph:
        """Places and links.

        Each edge has the ``capacity`` it takes and how much of it a byte takes (``per_byte``), ``bandwidth``,
        ``latency`` and ``message_overhead`` in seconds; each node with a memory the capacity of that (``memory``).
        """
        if self._graph is None:
            import networkx

            graph = networkx.DiGraph()
            for prefix, node in self._prefixes():
                _wire(graph, prefix, node)
            self._graph = graph
        return self._graph

    def route(self, start: str, end: str) -> list[str]:
        """Names of the capacities that bytes from ``start`` to ``end`` take, in order (the fastest way).

        Unknown places, and places without a way between them, raise ``ScenarioError``.
        """
        return [hop["capacity"] for hop in self.hops(start, end) if hop["capacity"]]

    def hops(self, start: str, end: str) -> list[dict[str, Any]]:
        """The links that :meth:`route` takes, each with the figures of its edge in :attr:`topology`."""
        import networkx

        graph = self.topology
        for place in (start, end):
            if place not in graph:
                raise ScenarioError.of(
                    "unknown place", where="at", got=place, nearest=nearest(place, map(str, graph.nodes))
                )
        try:
            path = networkx.shortest_path(graph, start, end, weight="cost")
        except networkx.NetworkXNoPath as error:
            raise ScenarioError.of(f"no way from {start} to {end}", where="system") from error
        return [graph.edges[a, b] for a, b in pairwise(path)]


def _node_capacities(node: Node, dtype: str) -> dict[str, float]:
    found: dict[str, float] = {}
    if "gpu" in node.devices:
        gpu = node.gpu
        one: dict[str, float | None] = {
            "tensor": gpu.peak(dtype),
            "hbm": gpu.hbm_bandwidth,
            "nvlink": gpu.link_bandwidth,
            "nvlink.in": gpu.link_bandwidth,
            "pcie.h2d": gpu.get("pcie.bandwidth"),
            "pcie.d2h": gpu.get("pcie.bandwidth"),
        }
        for index in range(gpu.count):
            found |= {f"gpu{index}.{name}": rate for name, rate in one.items() if rate}
    dram = node.dram_bandwidth
    if dram:
        found["dram"] = dram
    for role in ("cxl", "ssd", "flash", "nic"):
        device = node.devices.get(role)
        if device is None:
            continue
        if role in STORAGE:
            found[role] = 1.0
            continue
        names = ("out", "in") if role == "nic" else ("read", "write")
        for name in names:
            rate = device.get("bandwidth", device.get(f"{name}_bandwidth"))
            if rate:
                found[f"{role}.{name}"] = rate * device.count
    return found


def _wire(graph: networkx.DiGraph, prefix: str, node: Node) -> None:
    """Star wiring: GPUs around a switch and, over PCIe, the host; memory, drives and NICs at the host."""
    host = f"{prefix}host"
    graph.add_node(host)

    def edge(source: str, target: str, name: str, device: Device, rate: float | None, group: str = "") -> None:
        in_seconds = rate is not None and name in STORAGE
        graph.add_edge(
            source,
            target,
            capacity=prefix + name,
            bandwidth=rate,
            per_byte=1 / rate if rate and in_seconds else 1.0,
            latency=device.get(f"{group}latency", 0.0),
            message_overhead=device.get(f"{group}message_overhead", 0.0),
            cost=SMALL_HOP + (1 / rate if rate else 0.0),
        )

    gpu = node.devices.get("gpu")
    for index in range(node.gpus if gpu is not None else 0):
        assert gpu is not None
        place = f"{prefix}gpu{index}"
        graph.add_node(place, memory=f"{place}.hbm")
        for a, b, way in ((host, place, "h2d"), (place, host, "d2h")):
            edge(a, b, f"gpu{index}.pcie.{way}", gpu, gpu.get("pcie.bandwidth"), "pcie.")
        if node.bridge in ("nvswitch", "nvlink"):
            switch, rate = f"{prefix}nvswitch", gpu.link_bandwidth
            edge(place, switch, f"gpu{index}.nvlink", gpu, rate, "nvlink.")
            edge(switch, place, f"gpu{index}.nvlink.in", gpu, rate, "nvlink.")
    for role in ("dram", "cxl", "ssd", "flash"):
        device = node.devices.get(role)
        if device is None:
            continue
        plain = device.get("bandwidth", node.dram_bandwidth if role == "dram" else None)
        read, write = (device.get(f"{way}_bandwidth", plain) for way in ("read", "write"))
        one = role == "dram" or role in STORAGE
        count = device.count if role != "dram" else 1
        edge(f"{prefix}{role}", host, role if one else f"{role}.read", device, read and read * count)
        edge(host, f"{prefix}{role}", role if one else f"{role}.write", device, write and write * count)
    nic = node.devices.get("nic")
    if nic is not None:
        rate = nic.get("bandwidth")
        edge(host, "network", "nic.out", nic, rate)
        edge("network", host, "nic.in", nic, rate)
