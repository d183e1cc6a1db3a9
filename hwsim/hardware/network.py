"""The network between nodes: ports joined by switches; each kind says which links two ports share with others.

A port is ``(node, nic)``, nodes counted through all groups.  Only links that can be short are capacities: uplinks of
a switch when there are fewer than ports below them.  Simplification: flows spread evenly over the equal links of a
tier (adaptive routing), so a tier of uplinks is one capacity per switch and direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.errors import ScenarioError
from hwsim.hardware.find import find_device
from hwsim.hardware.hop import Hop
from hwsim.part import Parts

if TYPE_CHECKING:
    from hwsim.hardware.device import Device

KINDS = Parts("hwsim.hardware.networks")


class Port(NamedTuple):
    """A network port: the node's number in the system and the NIC's number in the node."""

    node: int
    nic: int


@dataclass(frozen=True)
class Wire:
    """What a network kind is built from: the link product, the switch product, and how many nodes and NICs there are.

    ``options`` are the fields of the kind beside ``link`` and ``switch``.
    """

    link: Device | None
    switch: Device | None
    nodes: int
    nics: int
    options: Mapping[str, Any]

    @property
    def bandwidth(self) -> float:
        """Bytes/s of a link in one direction; without a link product the NICs alone bound it."""
        return inf if self.link is None else self.link.need("bandwidth")

    def number(self, name: str, default: float) -> float:
        """A numeric option of the kind."""
        value = self.options.get(name)
        return default if value is None else float(value)

    def hop(self, name: str = "", tiers: int = 0) -> Hop:
        """One link, through ``tiers`` switches more; with a name it is a capacity."""
        link, switch = self.link, self.switch
        between = (switch.get("latency", 0.0) or 0.0) if switch is not None else 0.0
        takes = ((name, 1.0),) if name else ()
        if link is None:
            return Hop(takes, latency=tiers * between)
        return Hop(
            takes,
            self.bandwidth,
            (link.get("latency", 0.0) or 0.0) + tiers * between,
            link.get("message_overhead", 0.0) or 0.0,
            link.curves.get("by_size"),
        )


class Network:
    """Base of the kinds: one non-blocking switch.  A kind overrides :meth:`between`, :meth:`rates`, :meth:`switches`.

    ``rails`` is the number of separate planes of ports: NIC ``j`` of every node is on rail ``j mod rails``.
    ``joined`` says whether the network itself leads from rail to rail.
    """

    joined = True

    def __init__(self, wire: Wire, rails: int = 1) -> None:
        self.wire = wire
        self.rails = rails

    def between(self, a: Port, b: Port) -> list[Hop]:
        """The links from one port to another."""
        return [self.wire.hop(tiers=1)]

    def rates(self) -> dict[str, float]:
        """Bytes/s of the capacities that :meth:`between` names."""
        return {}

    def switches(self) -> int:
        """Switches that must be owned."""
        return 1

    def rail(self, nic: int) -> int:
        """The rail of a NIC."""
        return nic % self.rails

    def meeting_point(self, port: Port) -> str:
        """The switch a port hangs on, as a place of the topology."""
        return "network"


class Tree(Network):
    """Leaf switches under a core: of a fat tree, of one rail or of one plane."""

    def __init__(self, wire: Wire, rails: int = 1) -> None:
        super().__init__(wire, rails)
        ports = wire.switch.get("ports") if wire.switch is not None else None
        self.over = wire.number("oversubscription", 1.0)
        self.per_leaf = int(wire.number("nodes_per_leaf", 0)) or self._fitting(ports)
        self._check(ports)

    def lanes(self) -> int:
        """NICs of one node that hang on the same leaf."""
        return max(1, ceil(self.wire.nics / self.rails))

    def _fitting(self, ports: float | None) -> int:
        """Nodes whose ports fit on a leaf that keeps ``1 / (1 + over)`` of its ports for the core."""
        if ports is None:
            return self.wire.nodes
        down = int(ports * self.over / (1 + self.over)) if self.wire.nodes * self.lanes() > ports else int(ports)
        return max(1, down // self.lanes())

    def _check(self, ports: float | None) -> None:
        if ports is not None and self.per_leaf * self.lanes() > ports:
            raise ScenarioError.of(
                "a leaf switch has fewer ports than NICs below it",
                where="system.network.nodes_per_leaf",
                got=f"{self.per_leaf} nodes x {self.lanes()} NICs",
                expected=f"at most {int(ports)} ports",
            )

    @property
    def leaves(self) -> int:
        """Leaf switches of one rail."""
        return ceil(self.wire.nodes / self.per_leaf)

    def _below(self) -> int:
        """Links from a leaf down to NICs."""
        return min(self.per_leaf, self.wire.nodes) * self.lanes()

    def leaf(self, port: Port) -> tuple[int, int]:
        """The rail and leaf a port hangs on."""
        return self.rail(port.nic), port.node // self.per_leaf

    def meeting_point(self, port: Port) -> str:
        """The leaf, by its name."""
        return self.name(self.leaf(port), "")[:-1]

    def name(self, leaf: tuple[int, int], way: str) -> str:
        """The uplinks of a leaf as a capacity."""
        rail = f"rail{leaf[0]}/" if self.rails > 1 else ""
        return f"network/{rail}leaf{leaf[1]}.{way}"

    def between(self, a: Port, b: Port) -> list[Hop]:
        """Through the common leaf, or up to the core and down again."""
        here, there = self.leaf(a), self.leaf(b)
        if here == there:
            return [self.wire.hop(tiers=1)]
        if self.over <= 1:
            return [self.wire.hop(tiers=3)]
        return [self.wire.hop(self.name(here, "up"), tiers=2), self.wire.hop(self.name(there, "down"), tiers=1)]

    def rates(self) -> dict[str, float]:
        """Uplinks of every leaf in either direction where the tree is oversubscribed."""
        if self.over <= 1 or (self.leaves == 1 and self.rails == 1):
            return {}
        rate = self._below() * self.wire.bandwidth / self.over
        every = [(rail, leaf) for rail in range(self.rails) for leaf in range(self.leaves)]
        return {self.name(leaf, way): rate for leaf in every for way in ("up", "down")}

    def switches(self) -> int:
        """Leaves of all rails and, above several, as much of a core as their uplinks fill."""
        leaves = self.leaves * self.rails
        if leaves == 1:
            return 1
        ports = (self.wire.switch.get("ports") if self.wire.switch is not None else None) or 64
        return leaves + ceil(leaves * self._below() / self.over / ports)


def network(spec: Mapping[str, Any] | str | None, nodes: int, nics: int, *, where: str = "system.network") -> Network:
    """The network of a scenario's ``network:``; without one, a single non-blocking switch."""
    if spec is None:
        return Network(Wire(None, None, nodes, nics, {}))
    mapping = {"kind": spec} if isinstance(spec, str) else dict(spec)
    kind = str(mapping.pop("kind"))
    link, switch = mapping.pop("link", None), mapping.pop("switch", None)
    found = None if link is None else find_device(link, "link", where=f"{where}.link")
    if found is not None:
        check_link(found, where=f"{where}.link")
    box = None if switch is None else find_device(switch, "switch", where=f"{where}.switch")
    return KINDS.get(kind)(Wire(found, box, nodes, nics, mapping))


LARGEST_MESSAGE = 64 * 2**20  # bytes; no stack sends larger pieces


def check_link(link: Device, *, where: str) -> None:
    """Refuse a link that its own message overhead keeps from ever coming near its bandwidth."""
    rate, overhead = link.get("bandwidth"), link.get("message_overhead")
    if rate and overhead and overhead > LARGEST_MESSAGE / rate:
        reached = LARGEST_MESSAGE / (overhead + LARGEST_MESSAGE / rate)
        raise ScenarioError.of(
            f"{link.name} cannot reach its bandwidth for its message overhead",
            where=f"{where}.message_overhead",
            got=f"{link.figures['message_overhead']}: {reached / 1e9:.3g} of {rate / 1e9:.3g} GB/s at 64 MiB a message",
            expected=f"at most {LARGEST_MESSAGE / rate * 1e6:.3g} us",
        )
