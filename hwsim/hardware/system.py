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
        ``gpu0.pcie.d2h``, ``nic.out`` and ``nic.in``, ``ssd.read`` and ``ssd.write``.
        """
        found: dict[str, float] = {}
        for prefix, node in self._prefixes():
            for name, rate in _node_capacities(node, dtype).items():
                found[prefix + name] = rate
        return found

    @property
    def topology(self) -> networkx.DiGraph:
        """Places and links; each edge has the ``capacity`` it takes, ``bandwidth`` and ``latency`` (seconds)."""
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
        steps = (graph.edges[a, b]["capacity"] for a, b in pairwise(path))
        return [capacity for capacity in steps if capacity]


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

    def link(a: str, b: str, out: str, back: str, rate: float | None, latency: float | None) -> None:
        cost = SMALL_HOP + (1 / rate if rate else 0.0)
        for source, target, name in ((a, b, out), (b, a, back)):
            graph.add_edge(source, target, capacity=prefix + name, bandwidth=rate, latency=latency or 0.0, cost=cost)

    gpu = node.devices.get("gpu")
    for index in range(node.gpus if gpu is not None else 0):
        assert gpu is not None
        name = f"gpu{index}"
        link(
            host,
            prefix + name,
            f"{name}.pcie.h2d",
            f"{name}.pcie.d2h",
            gpu.get("pcie.bandwidth"),
            gpu.get("pcie.latency"),
        )
        if node.bridge in ("nvswitch", "nvlink"):
            rate, latency = gpu.link_bandwidth, gpu.get("nvlink.latency")
            link(prefix + name, f"{prefix}nvswitch", f"{name}.nvlink", f"{name}.nvlink.in", rate, latency)
    for role in ("dram", "cxl", "ssd", "flash"):
        device = node.devices.get(role)
        if device is None:
            continue
        out, back = (role, role) if role == "dram" else (f"{role}.read", f"{role}.write")
        link(f"{prefix}{role}", host, out, back, device.get("bandwidth"), device.get("latency"))
    nic = node.devices.get("nic")
    if nic is not None:
        link(host, "network", "nic.out", "nic.in", nic.get("bandwidth"), nic.get("latency"))
