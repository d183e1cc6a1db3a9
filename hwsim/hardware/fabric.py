"""Ways between places of a running system: live capacities, and transfers over them as phases of activities.

A transfer takes every capacity of its way at the same time, memory at both ends included, at the rate of the slowest;
simplification: no store-and-forward, and the latencies of the links add up in front.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from hwsim.errors import ScenarioError, nearest
from hwsim.hardware.route import Route, Store, merged
from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.slot import Slot
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.hardware.system import Leg, System

FAULT_SECONDS = 1e-6  # a page fault in the kernel without the I/O: trap, page table, one page; about, own knowledge


class Transfer(NamedTuple):
    """``fixed_ticks`` that nothing stretches, then the ``phase`` that moves the bytes."""

    fixed_ticks: int
    phase: Phase


class Fabric:
    """Capacities and routes of one simulation; a capacity is made when it is first asked for."""

    def __init__(self, system: System, dtype: str = "bf16") -> None:
        """``dtype`` is the number format whose peak ``gpu0.tensor`` has."""
        self.system = system
        self.ideal = system.ideal
        self._rates = system.capacities(dtype)
        self._capacities: dict[str, Capacity] = {}
        self._routes: dict[tuple[str, str, str], Route] = {}
        self._slots: dict[str, Slot] = {}

    # -- capacities ------------------------------------------------------------------------------------------------

    def capacity(self, name: str) -> Capacity:
        """The capacity of that name, the same object each time; unknown names raise ``ScenarioError``."""
        found = self._capacities.get(name)
        if found is None:
            rate = self._rates.get(name)
            if rate is None:
                alias = self._alias(name)
                if alias != name:
                    return self.capacity(alias)
                raise ScenarioError.of(
                    "unknown capacity", where="system", got=name, nearest=nearest(name, list(self._rates))
                )
            last = name.rpartition("/")[2]
            unit = "FLOP" if last.endswith((".tensor", ".compute")) else "s" if rate == 1.0 else "bytes"
            found = self._capacities[name] = Capacity(name, self.ideal.rate(last, rate), unit)
        return found

    def _alias(self, name: str) -> str:
        """The name of a device that is the only one of its role, or of a place written without its node."""
        prefix, slash, last = name.rpartition("/")
        device, dot, word = last.partition(".")
        try:
            spot = self.system.spot(prefix + slash + device)
            members = spot.group.wiring.members(spot.place)
        except ScenarioError:
            return name
        return f"{spot.prefix}{members[0]}{dot}{word}" if len(members) == 1 else name

    @property
    def names(self) -> frozenset[str]:
        """The names of all capacities of the system, asked for or not."""
        return frozenset(self._rates)

    @property
    def capacities(self) -> dict[str, Capacity]:
        """The capacities that were asked for by now."""
        return dict(self._capacities)

    def slot(self, place: str) -> Slot | None:
        """The command queue of a drive that takes only so many commands at a time, the same object each time.

        None when the device states no ``queue_depth`` or ``place`` is no drive.
        """
        spot = self.system.spot(place)
        vertex = spot.group.wiring.members(spot.place)[0]
        drive = spot.group.wiring.drives.get(vertex)
        depth = drive.device.get("queue_depth") if drive is not None else None
        if not depth:
            return None
        name = f"{spot.prefix}{vertex}.queue"
        if name not in self._slots:
            self._slots[name] = Slot(name, int(depth))
        return self._slots[name]

    # -- routes ----------------------------------------------------------------------------------------------------

    def route(self, start: str, end: str, *, via: str | None = None) -> Route:
        """The fastest way, or with ``via`` the way through a buffer there (a bounce buffer: ``via="dram"``).

        Unknown places and places without a way between them raise ``ScenarioError``.
        """
        key = (start, end, via or "")
        found = self._routes.get(key)
        if found is None:
            made = self._route(start, end) if via is None else self._through(start, via, end)
            found = self._routes[key] = made
        return found

    def _route(self, start: str, end: str, *, write: bool = False) -> Route:
        system = self.system
        a, b = system.spot(start), system.spot(end)
        takes: dict[str, float] = {}
        legs: dict[Leg, None] = {}
        stores: list[Store] = []
        latency, rate = 0.0, inf
        for way in system.ways(start, end):
            ends = [(a, way.start, False), (b, way.end, True)] if way.legs else [(a, way.start, write)]
            for spot, vertex, writes in ends:
                drive = spot.group.wiring.drives.get(vertex)
                if drive is not None:
                    stores.append(Store(drive, self.capacity(spot.prefix + vertex), way.share, writes))
                for name, units in system.memory(spot, vertex, write=writes):
                    takes[name] = takes.get(name, 0.0) + units * way.share
            for leg in way.legs:
                for name, units in leg.hop.takes:
                    name = leg.prefix + name
                    takes[name] = takes.get(name, 0.0) + units * way.share
            real = [leg for leg in way.legs if not self.ideal.covers_hop(leg.hop)]
            legs |= dict.fromkeys(real)
            latency = max(latency, sum([leg.hop.latency for leg in real]))
            passing = way.start not in MEMORIES and way.end not in MEMORIES
            for leg in real:
                rate = min(rate, leg.hop.bandwidth / way.share, leg.hop.peer / way.share if passing else inf)
        capacities = tuple([self.capacity(name) for name in takes])
        alone = [c.rate / units for c, units in zip(capacities, takes.values(), strict=True)]
        overhead = max([leg.hop.message_overhead for leg in legs], default=0.0)
        return Route(
            start,
            end,
            capacities,
            tuple(takes.values()),
            latency,
            overhead,
            min([rate, *alone]),
            tuple(legs),
            merged(stores),
        )

    def _through(self, start: str, via: str, end: str) -> Route:
        """Both halves of a pipelined copy through a buffer: what each takes, added up."""
        first, second = self.route(start, via), self.route(via, end)
        takes: dict[Capacity, float] = {}
        for half in (first, second):
            for capacity, units in zip(half.capacities, half.per_byte, strict=True):
                takes[capacity] = takes.get(capacity, 0.0) + units
        rate = min([first.rate, second.rate, *(capacity.rate / units for capacity, units in takes.items())])
        return Route(
            start,
            end,
            tuple(takes),
            tuple(takes.values()),
            first.latency_s + second.latency_s,
            max(first.message_overhead_s, second.message_overhead_s),
            rate,
            (*first.legs, *second.legs),
            (*first.stores, *second.stores),
        )

    # -- transfers -------------------------------------------------------------------------------------------------

    def transfer(
        self,
        start: str,
        end: str,
        size: float,
        *,
        messages: int = 1,
        io_size: float | None = None,
        queue_depth: int | None = None,
        write: bool = False,
        random: bool = True,
        via: str | None = None,
    ) -> Transfer:
        """``size`` bytes from ``start`` to ``end`` in ``messages`` equal pieces, one after the other.

        The latency of the way and the overhead of the first message come before the bytes; the overheads of the
        others lengthen the phase and leave the links to others meanwhile.  At a drive, ``io_size`` and
        ``queue_depth`` bound what this transfer gets and what a byte takes of the drive (``random`` accesses unless
        told otherwise); without ``io_size`` the accesses are large and sequential.  ``write`` says what an access in
        place (``start == end``) does.  ``via`` is a buffer that the bytes are copied through.
        """
        if messages < 1:
            raise ValueError(f"a transfer has at least one message, got {messages}")
        route = self._route(start, end, write=True) if write and start == end else self.route(start, end, via=via)
        overhead = route.overhead(size / messages) if size else route.message_overhead_s
        fixed = round((route.latency_s + overhead) * TICKS_PER_SECOND)
        if not size:
            return Transfer(fixed, Phase())
        per_byte, rate = route.per_byte, route.rate
        if io_size is not None and route.stores:
            per_byte, rate = self._at_drives(route, io_size, queue_depth, random)
        gaps = (messages - 1) * overhead
        return Transfer(fixed, phase(size, route.capacities, per_byte, size / (size / rate + gaps) if gaps else rate))

    def _at_drives(
        self, route: Route, io_size: float, queue_depth: int | None, random: bool
    ) -> tuple[tuple[float, ...], float]:
        """What a byte takes of each capacity, and the rate, when drives see accesses of one size at one depth."""
        per_byte = list(route.per_byte)
        rate = route.rate
        for store in route.stores:
            if store.capacity.rate > 1.0:
                continue  # ideal
            depth = None if queue_depth is None else max(queue_depth * store.share, 1.0)
            speed = store.drive.speed(io_size, depth, write=store.write, random=random)
            place = route.capacities.index(store.capacity)
            per_byte[place] = store.share / speed.saturated
            rate = min(rate, speed.alone / store.share, speed.saturated / store.share)
        return tuple(per_byte), rate

    def page_faults(
        self,
        start: str,
        end: str,
        size: float,
        *,
        fault_size: float = 4096,
        readahead: float = 131072,
        threads: int = 1,
        fault_seconds: float = FAULT_SECONDS,
    ) -> Transfer:
        """``size`` bytes touched through a memory mapping: a read of ``readahead`` bytes at a time, each waited for.

        Each thread has one read in flight and takes ``fault_seconds`` per fault of ``fault_size`` bytes besides;
        ``readahead == fault_size`` is random access.  The pages end in ``end`` (memory of the host).
        """
        window = max(readahead, fault_size)
        base = self.transfer(start, end, size, io_size=window, queue_depth=threads, random=readahead <= fault_size)
        if not size:
            return base
        faults = size / fault_size * fault_seconds / threads
        slower = Phase(base.phase.alone + faults * TICKS_PER_SECOND, dict(base.phase.amounts))
        return Transfer(base.fixed_ticks, slower)


MEMORIES = frozenset({"dram", *(f"dram{s}" for s in range(16))})


def phase(size: float, capacities: tuple[Capacity, ...], per_byte: tuple[float, ...], rate: float) -> Phase:
    """``size`` bytes at ``rate`` bytes/s over capacities that each byte takes unequal amounts of.

    Asks depend on the rate alone, so transfers of any size over one way count as equal users.
    """
    found = Phase(size / rate * TICKS_PER_SECOND if rate < inf else 0)
    if rate < inf:
        takes = list(zip(capacities, per_byte, strict=True))
        found.amounts = tuple([(capacity, size * units) for capacity, units in takes])
        found.asks = tuple([(capacity, min(capacity.rate, rate * units)) for capacity, units in takes])
    return found
