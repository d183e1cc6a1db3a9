"""The inside of one node: places, the links between them, and the capacities that bytes on the way take.

Places: ``gpu0``, ``dram`` (spread over the sockets) and ``dram0`` (of one), ``cpu0``, ``host`` (the first socket),
``cxl``, ``ssd``, ``flash``, ``nic``, ``npu``, ``fpga``; a role with several devices numbers them (``ssd0``, ``nic3``)
and its plain name spreads bytes evenly over all.  Simplification: devices of a role are dealt evenly, in order, to
PCIe switches and sockets.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from hwsim.errors import ScenarioError, nearest
from hwsim.hardware.accelerators import wire_gpus
from hwsim.hardware.hop import Hop, Takes
from hwsim.hardware.storage import Drive

if TYPE_CHECKING:
    import networkx

    from hwsim.hardware.device import Device
    from hwsim.hardware.node import Node

SMALL_HOP = 1e-15  # seconds per byte: of two equally fast ways the one with fewer links is taken
NUMBERED = ("cxl", "ssd", "nic", "fpga", "npu", "flash")
BEHIND = {"gpu": "gpus", "nic": "nics", "ssd": "ssds", "cxl": "cxls"}  # figures of a node's PCIe switches


class Wiring:
    """Places, links and capacities of one node, names without the node's prefix."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.rates: dict[str, float] = {}
        self.seconds: set[str] = set()  # capacities counted in device-seconds
        self.spread: dict[str, tuple[str, ...]] = {}  # places that stand for several
        self.drives: dict[str, Drive] = {}
        self.reads: dict[str, Takes] = {}  # what a byte read at a place takes of its memory
        self.writes: dict[str, Takes] = {}
        self.links: list[tuple[str, str, Hop]] = []
        self._paths: dict[tuple[str, str], list[Hop]] = {}
        self.sockets = max(1, node.devices["cpu"].count if "cpu" in node.devices else 1)
        self._processors()
        self._switches()
        wire_gpus(self)
        for role in NUMBERED:
            if role in node.devices:
                self._devices(role, node.devices[role])

    # -- places ----------------------------------------------------------------------------------------------------

    def members(self, place: str) -> tuple[str, ...]:
        """The vertices that a place stands for; unknown places raise ``ScenarioError``."""
        if place in self.spread:
            return self.spread[place]
        if place in self.vertices:
            return (place,)
        known = [*self.spread, *self.vertices]
        raise ScenarioError.of("unknown place", where="at", got=place, nearest=nearest(place, known))

    @cached_property
    def vertices(self) -> dict[str, None]:
        """All places that bytes can be at or pass, in order."""
        return dict.fromkeys([vertex for a, b, _ in self.links for vertex in (a, b)] + [*self.reads, *self.writes])

    @cached_property
    def graph(self) -> networkx.DiGraph:
        """The links as a graph; each edge has its ``hop`` and its ``cost`` (seconds per byte)."""
        import networkx

        graph = networkx.DiGraph()
        graph.add_nodes_from(self.vertices)
        for a, b, hop in self.links:
            graph.add_edge(a, b, hop=hop, cost=SMALL_HOP + 1 / hop.bandwidth)
        return graph

    def path(self, start: str, end: str) -> list[Hop]:
        """The links of the fastest way between two vertices; without any, ``ScenarioError``."""
        found = self._paths.get((start, end))
        if found is None:
            import networkx

            try:
                # bytes do not pass through a GPU on the way to somewhere else
                way = networkx.shortest_path(
                    self.graph,
                    start,
                    end,
                    weight=lambda a, b, data: None if b.startswith("gpu") and b != end else data["cost"],
                )
            except networkx.NetworkXNoPath as error:
                raise ScenarioError.of(
                    f"no way from {start} to {end} in {self.node.name}",
                    where="system.node",
                    expected="a link between them: pcie.bandwidth, nvlink.bandwidth or a bandwidth of the device",
                ) from error
            found = self._paths[start, end] = [self.graph.edges[a, b]["hop"] for a, b in pairwise(way)]
        return found

    def name(self, role: str, index: int) -> str:
        """The vertex of a device: numbered unless it is the only one."""
        return f"{role}{index}" if role == "gpu" or self._count(role) > 1 else role

    def _count(self, role: str) -> int:
        """Devices of a role that are seen apart: drives of a striped volume are one."""
        device = self.node.devices[role]
        return 1 if device.text.get("raid") == "0" else device.count

    def near(self, role: str, index: int) -> int:
        """The socket of a device."""
        count = self.node.gpus if role == "gpu" else self._count(role)
        return index * self.sockets // max(count, 1)

    # -- links -----------------------------------------------------------------------------------------------------

    def link(self, a: str, b: str, there: Hop, back: Hop) -> None:
        """Join two vertices in both directions."""
        self.links += [(a, b, there), (b, a, back)]

    def _processors(self) -> None:
        """Sockets with their share of main memory, joined to each other."""
        node, count = self.node, self.sockets
        cpu = node.devices.get("cpu")
        total = node.dram_bandwidth
        dram = node.devices.get("dram")
        latency = (dram.get("latency") if dram is not None else None) or (cpu.get("dram.latency", 0.0) if cpu else 0.0)
        if total:
            self.rates["dram"] = total
        for s in range(count):
            here = self.socket(s)
            memory = f"dram{s}" if count > 1 else "dram"
            takes: Takes = (("dram", 1.0),)
            if count > 1 and total:
                self.rates[memory] = total / count
                takes = (("dram", 1.0), (memory, 1.0))
            if total:
                own = cpu.get("dram.achieved") if cpu is not None else None
                cores: Takes = ()
                if own and own < total / count:  # the cores cannot draw all that memory delivers
                    self.rates[f"{here}.dram"] = own
                    cores = ((f"{here}.dram", 1.0),)
                self.reads[memory] = self.writes[memory] = takes
                self.link(f"{here}.cores", here, Hop(cores), Hop(cores))
                self.link(memory, here, Hop((), total / count, latency or 0.0), Hop((), total / count, latency or 0.0))
            else:
                self.link(f"{here}.cores", here, Hop(()), Hop(()))
            if cpu is not None and cpu.get("io.bandwidth"):
                self.rates[f"{here}.io"] = cpu.need("io.bandwidth")
        for a in range(count):
            for b in range(a + 1, count):
                self._between(cpu, a, b)
        self.spread["host"] = (self.socket(0),)
        if count > 1 and total:
            self.spread["dram"] = tuple(f"dram{s}" for s in range(count))
        elif total:
            self.spread["dram0"] = ("dram",)
        if count == 1:
            self.spread["cpu0"] = ("cpu",)

    def socket(self, index: int) -> str:
        """The vertex of a socket."""
        return f"cpu{index}" if self.sockets > 1 else "cpu"

    def _between(self, cpu: Device | None, a: int, b: int) -> None:
        rate = cpu.get("remote.bandwidth") if cpu is not None else None
        if cpu is None or rate is None:
            self.link(self.socket(a), self.socket(b), Hop(()), Hop(()))
            return
        extra = max(0.0, cpu.get("remote.latency", 0.0) - cpu.get("dram.latency", 0.0))  # type: ignore[operator]
        peer = cpu.get("remote.peer_bandwidth", inf) or inf
        for one, other in ((a, b), (b, a)):
            name = f"upi{one}{other}"
            self.rates[name] = rate
            self.links.append(
                (self.socket(one), self.socket(other), Hop(((name, 1.0),), rate, extra, peer=min(peer, rate)))
            )

    def _switches(self) -> None:
        """PCIe switches, each with one upstream port that all behind it share."""
        node = self.node
        count = int(node.get("pcie_switch.count", 0) or 0)
        for k in range(count):
            here, host = f"switch{k}", self.socket(k * self.sockets // count)
            rate = node.get("pcie_switch.bandwidth")
            latency = node.get("pcie_switch.latency", 0.0) or 0.0
            up, down = f"{here}.up", f"{here}.down"
            if rate:
                self.rates |= {up: rate, down: rate}
            takes = (lambda name: ((name, 1.0),)) if rate else (lambda name: ())
            self.link(
                here,
                host,
                Hop((*takes(up), *self.io(host)), rate or inf, latency),
                Hop((*takes(down), *self.io(host)), rate or inf, latency),
            )

    def io(self, host: str) -> Takes:
        """What devices take of the root complex of a socket, where it has a limit."""
        return ((f"{host}.io", 1.0),) if f"{host}.io" in self.rates else ()

    def above(self, role: str, index: int) -> str:
        """What a device is plugged into: a PCIe switch, or its socket."""
        switches = int(self.node.get("pcie_switch.count", 0) or 0)
        each = int(self.node.get(f"pcie_switch.{BEHIND[role]}", 0) or 0) if role in BEHIND else 0
        if switches and index < switches * each:
            return f"switch{index // each}"
        return self.socket(self.near(role, index))

    def _devices(self, role: str, device: Device) -> None:
        count = self._count(role)
        members = [self.name(role, index) for index in range(count)]
        for index, here in enumerate(members):
            above = self.above(role, index)
            if role in ("ssd", "flash"):
                self._drive(device, here, above, device.count // count)
            elif role == "cxl":
                self._card(device, here, above)
            elif role == "nic":
                self._port(device, here, above)
            else:
                self._accelerator(device, role, here, above)
        if count > 1:
            self.spread[role] = (members[0],) if device.text.get("raid") == "none" else tuple(members)
        else:
            self.spread[f"{role}0"] = (members[0],)

    def _drive(self, device: Device, here: str, above: str, stripes: int) -> None:
        """A drive or striped volume: device-seconds, a read taking them at read speed and a write at write speed."""
        drive = self.drives[here] = Drive(device, stripes)
        self.rates[here] = 1.0
        self.seconds.add(here)
        if drive.read_bandwidth:
            self.reads[here] = ((here, 1 / drive.read_bandwidth),)
            self.links.append((here, above, Hop(self.io(above), drive.read_bandwidth, drive.latency)))
        if drive.write_bandwidth:
            self.writes[here] = ((here, 1 / drive.write_bandwidth),)
            self.links.append((above, here, Hop(self.io(above), drive.write_bandwidth, drive.write_latency)))

    def _card(self, device: Device, here: str, above: str) -> None:
        """A CXL card: each direction of its link has a rate, and its memory one for both."""
        total = device.get("bandwidth")
        read, write = (device.get(f"{way}_bandwidth", total) for way in ("read", "write"))
        common: Takes = ()
        if total:
            self.rates[here] = total
            common = ((here, 1.0),)
        latency = device.get("latency", 0.0) or 0.0
        for way, rate, memory in (("read", read, self.reads), ("write", write, self.writes)):
            if not rate:
                continue
            self.rates[f"{here}.{way}"] = rate
            memory[here] = (*common, (f"{here}.{way}", 1.0))
            a, b = (here, above) if way == "read" else (above, here)
            self.links.append((a, b, Hop((), rate, latency)))

    def _port(self, device: Device, here: str, above: str) -> None:
        rate = device.get("bandwidth")
        if not rate:
            return
        self.rates |= {f"{here}.out": rate, f"{here}.in": rate}
        figures = (
            rate,
            device.get("latency", 0.0) or 0.0,
            device.get("message_overhead", 0.0) or 0.0,
            device.curves.get("by_size"),
        )
        self.link(above, here, Hop(((f"{here}.out", 1.0), *self.io(above)), *figures), self._into(here, above, rate))

    def _into(self, here: str, above: str, rate: float) -> Hop:
        return Hop(((f"{here}.in", 1.0), *self.io(above)), rate)

    def _accelerator(self, device: Device, role: str, here: str, above: str) -> None:
        """An NPU on the node's memory, or a card with a memory of its own behind a link."""
        own = device.get("hbm.bandwidth")
        if own:
            self.rates[f"{here}.hbm"] = own
            self.reads[here] = self.writes[here] = ((f"{here}.hbm", 1.0),)
        rate = device.get("pcie.bandwidth") if role == "fpga" else device.get("bandwidth")
        if rate is None:
            return
        word = "pcie" if role == "fpga" else "dram"
        self.rates[f"{here}.{word}"] = rate
        hop = Hop(((f"{here}.{word}", 1.0),), rate)
        self.link(above, here, hop, hop)
