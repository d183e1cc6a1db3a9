"""A system: groups of equal nodes and the network between them; capacities, places, and the way bytes take.

A node is wired once however many there are of it, and a way is looked up in two nodes and the network between, so a
large system costs what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.errors import ScenarioError, nearest
from hwsim.hardware.accelerators import peaks
from hwsim.hardware.find import find_node
from hwsim.hardware.hop import Hop, Takes
from hwsim.hardware.ideal import Ideal
from hwsim.hardware.network import Network, Port, network
from hwsim.hardware.node import Node
from hwsim.hardware.wiring import Wiring

if TYPE_CHECKING:
    import networkx


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

    @cached_property
    def wiring(self) -> Wiring:
        """The inside of one of the nodes."""
        return Wiring(self.node)


class Spot(NamedTuple):
    """A place resolved: its node and the place inside it."""

    group: Group
    number: int  # of the node in the system
    prefix: str
    place: str


class Leg(NamedTuple):
    """A part of a way inside one node or in the network: names in ``hop`` get ``prefix`` in front."""

    prefix: str
    hop: Hop


class Way(NamedTuple):
    """How a ``share`` of the bytes gets from a place to another, from vertex to vertex."""

    share: float
    start: str
    end: str
    legs: list[Leg]


class System:
    """Everything that exists, by group.

    Places and capacities are named ``gpu0``, ``gpu0.hbm``; with more than one node the node comes first
    (``fast/0/gpu0.hbm``); those of the network begin with ``network/``.
    """

    def __init__(
        self,
        groups: Mapping[str, Group],
        between: Mapping[str, Any] | str | None = None,
        ideal: Iterable[str] = (),
    ) -> None:
        """``between`` is the scenario's ``network:``; without it, all NICs meet in one non-blocking switch.

        ``ideal`` names resources that are given infinite speed.
        """
        self.ideal = Ideal(ideal)
        self.groups = {name: replace(group, node=self.ideal.node(group.node)) for name, group in groups.items()}
        self.nodes = sum(group.nodes for group in self.groups.values())
        self._firsts: dict[str, int] = {}
        self._rates: dict[str, dict[str, float]] = {}
        first = 0
        for name, group in self.groups.items():
            self._firsts[name] = first
            first += group.nodes
        nics = max((g.node.devices["nic"].count for g in self.groups.values() if "nic" in g.node.devices), default=0)
        self.network: Network = network(between, self.nodes, nics)

    @classmethod
    def of(cls, spec: Mapping[str, Any], *, where: str = "system") -> System:
        """The system of a mapping: ``{node, nodes}``, or ``{groups: {name: {node, nodes}}}`` with defaults beside."""
        groups, between, ideal = spec.get("groups"), spec.get("network"), spec.get("ideal") or ()
        if groups is None:
            node = find_node(spec["node"], where=f"{where}.node")
            return cls({"nodes": Group("nodes", node, int(spec.get("nodes", 1)))}, between, ideal)
        members: dict[str, Group] = {}
        for name, group in groups.items():
            place = f"{where}.groups.{name}.node"
            merged = {key: value for key, value in spec.items() if key in ("node", "nodes")} | dict(group)
            members[name] = Group(name, find_node(merged["node"], where=place), int(merged.get("nodes", 1)))
        return cls(members, between, ideal)

    @property
    def gpus(self) -> int:
        """Number of GPUs in all."""
        return sum(group.gpus for group in self.groups.values())

    # -- capacities ------------------------------------------------------------------------------------------------

    def prefix(self, group: Group, index: int) -> str:
        """What stands before the names of a node: nothing when it is the only one."""
        return "" if self.nodes == 1 else f"{group.name}/{index}/"

    def capacities(self, dtype: str = "bf16") -> dict[str, float]:
        """Rates of everything that activities share, at what the data sheet says (bytes/s; FLOP/s of ``dtype``).

        Links have one capacity per direction: ``gpu0.nvlink`` out and ``gpu0.nvlink.in``, ``gpu0.pcie.h2d`` and
        ``gpu0.pcie.d2h`` (and ``gpu0.pcie`` where both together get less than their sum), ``nic0.out`` and
        ``nic0.in``.  Storage (``ssd``, ``flash``) is counted in device-seconds per second, so its rate is 1: a read
        takes bytes over read speed of it, a write bytes over write speed.
        """
        if dtype in self._rates:
            return self._rates[dtype]
        found: dict[str, float] = {}
        for group in self.groups.values():
            local = {**dict(peaks(group.wiring, dtype)), **group.wiring.rates}
            for index in range(group.nodes):
                prefix = self.prefix(group, index)
                found |= {prefix + name: rate for name, rate in local.items()}
        self._rates[dtype] = found | self.network.rates()
        return self._rates[dtype]

    def spot(self, place: str) -> Spot:
        """A place by its name: ``gpu0``, ``group/gpu0`` of a group with one node, ``group/index/gpu0``."""
        *before, inner = place.split("/")
        group = self.groups.get(before[0]) if before else next(iter(self.groups.values()))
        index = int(before[1]) if len(before) == 2 and before[1].isdigit() else 0 if len(before) < 2 else -1
        if group is None or not 0 <= index < group.nodes or (self.nodes > 1 and not before):
            known = self.names() if self.nodes <= 16 else list(self.groups)
            raise ScenarioError.of(
                "unknown place",
                where="at",
                got=place,
                expected="group/index/device" if self.nodes > 1 else "a device of the node",
                nearest=nearest(place, known),
            )
        prefix = self.prefix(group, index)
        return Spot(group, self._firsts[group.name] + index, prefix, inner)

    def names(self) -> list[str]:
        """The names of all places."""
        return [
            self.prefix(group, index) + place
            for group in self.groups.values()
            for index in range(group.nodes)
            for place in (*group.wiring.spread, *group.wiring.vertices)
        ]

    def has(self, place: str) -> bool:
        """Whether bytes can be at or pass a place of that name."""
        try:
            spot = self.spot(place)
            return bool(spot.group.wiring.members(spot.place))
        except ScenarioError:
            return False

    def memory(self, spot: Spot, vertex: str, *, write: bool) -> Takes:
        """What a byte read (or written) at a vertex takes of the memory there."""
        wiring = spot.group.wiring
        takes = (wiring.writes if write else wiring.reads).get(vertex, ())
        return tuple((spot.prefix + name, units) for name, units in takes)

    # -- ways ------------------------------------------------------------------------------------------------------

    def ways(self, start: str, end: str) -> list[Way]:
        """The ways that bytes take between two places, with the share of each; unknown places are refused.

        A place that stands for several devices spreads its bytes evenly over them.
        """
        a, b = self.spot(start), self.spot(end)
        here, there = a.group.wiring.members(a.place), b.group.wiring.members(b.place)
        if a.number == b.number and a.place == b.place:
            return [Way(1 / len(here), one, one, []) for one in here]
        share = 1 / (len(here) * len(there))
        return [Way(share, one, other, self._legs(a, one, b, other)) for one in here for other in there]

    def route(self, start: str, end: str) -> list[str]:
        """Names of the capacities that bytes from ``start`` to ``end`` take, in order, memory at the ends included."""
        a, b = self.spot(start), self.spot(end)
        found: dict[str, None] = {}
        for way in self.ways(start, end):
            found |= dict.fromkeys(name for name, _ in self.memory(a, way.start, write=False))
            found |= dict.fromkeys(leg.prefix + name for leg in way.legs for name, _ in leg.hop.takes)
            found |= dict.fromkeys(name for name, _ in self.memory(b, way.end, write=True))
        return list(found)

    def _legs(self, a: Spot, start: str, b: Spot, end: str) -> list[Leg]:
        if a.number == b.number:
            return [Leg(a.prefix, hop) for hop in a.group.wiring.path(start, end)]
        out, into = self._rails(a, start, b, end)
        there = b.group.wiring
        return [
            *(Leg(a.prefix, hop) for hop in self._to_port(a, start, out)),
            *(Leg("", hop) for hop in self.network.between(Port(a.number, out), Port(b.number, into))),
            *(Leg(b.prefix, hop) for hop in there.path(there.name("nic", into), end)),
        ]

    def _to_port(self, spot: Spot, start: str, nic: int) -> list[Hop]:
        """From a place to a NIC; a GPU that needs the NIC of another rank hands over to that GPU on an NVSwitch."""
        wiring, node = spot.group.wiring, spot.group.node
        port = wiring.name("nic", nic)
        if start.startswith("gpu") and node.bridge == "nvswitch" and nearest_nic(node, start) != nic:
            other = next((f"gpu{i}" for i in range(node.gpus) if nearest_nic(node, f"gpu{i}") == nic), None)
            if other is not None:
                return [*wiring.path(start, other), *wiring.path(other, port)]
        return wiring.path(start, port)

    def _rails(self, a: Spot, start: str, b: Spot, end: str) -> tuple[int, int]:
        """The NICs at both ends: those nearest to the places.

        If they are on different rails, the sender changes to the rail of the receiver when its GPUs reach each other
        by a switch (as NCCL's PXN does) or when the network does not join its rails.
        """
        for spot in (a, b):
            if "nic" not in spot.group.node.devices or not spot.group.node.device("nic").get("bandwidth"):
                raise ScenarioError.of(
                    f"no way from {a.prefix}{start} to {b.prefix}{end}: {spot.group.node.name} has no NIC",
                    where=f"system.groups.{spot.group.name}.node.nic" if len(self.groups) > 1 else "system.node.nic",
                    expected="a nic with a bandwidth",
                )
        out, into = nearest_nic(a.group.node, start), nearest_nic(b.group.node, end)
        rail = self.network.rail
        if rail(out) != rail(into) and (a.group.node.bridge == "nvswitch" or not self.network.joined):
            same = [j for j in range(a.group.node.device("nic").count) if rail(j) == rail(into)]
            if same:
                return min(same, key=lambda j: abs(j - out)), into
            if not self.network.joined:
                raise ScenarioError.of(f"no NIC of {a.group.node.name} is on the plane of {b.prefix}{end}", where="nic")
        return out, into

    @property
    def topology(self) -> networkx.DiGraph:
        """Places and links of the whole system, to look at: edges have ``capacity``, ``bandwidth``, ``latency``."""
        import networkx

        graph = networkx.DiGraph()

        def add(a: str, b: str, prefix: str, hop: Hop) -> None:
            names = [prefix + name for name, _ in hop.takes]
            graph.add_edge(a, b, capacity=names[0] if names else "", bandwidth=hop.bandwidth, latency=hop.latency)

        for group in self.groups.values():
            for index in range(group.nodes):
                prefix = self.prefix(group, index)
                for a, b, data in group.wiring.graph.edges(data=True):
                    add(prefix + a, prefix + b, prefix, data["hop"])
                if self.nodes > 1 and "nic" in group.node.devices:
                    for nic in range(group.node.device("nic").count):
                        here, point = (
                            prefix + group.wiring.name("nic", nic),
                            Port(self._firsts[group.name] + index, nic),
                        )
                        for a, b in (
                            (here, self.network.meeting_point(point)),
                            (self.network.meeting_point(point), here),
                        ):
                            add(a, b, "", self.network.wire.hop())
        return graph


def nearest_nic(node: Node, vertex: str) -> int:
    """The NIC that a place of a node sends by: its own number, that of its rank among the GPUs, else of its socket."""
    count = node.device("nic").count
    role, digits = vertex.rstrip("0123456789"), vertex[len(vertex.rstrip("0123456789")) :]
    index = int(digits) if digits else 0
    if role == "nic":
        return index
    if role == "gpu":
        return index * count // node.gpus
    if role in ("cpu", "dram"):
        sockets = max(1, node.devices["cpu"].count if "cpu" in node.devices else 1)
        return index * count // sockets
    return 0
