"""Ways between places of a running system: live capacities, and transfers over them as phases of activities.

A transfer takes every capacity of its way at the same time, memory at both ends included, at the rate of the slowest;
simplification: no store-and-forward, and the latencies of the links add up in front.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from hwsim.errors import ScenarioError, nearest
from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.hardware.system import System


@dataclass(frozen=True, slots=True)
class Route:
    """The way from a place to another.

    ``per_byte`` says how much of each capacity a byte takes: 1, or seconds where a device is counted in
    device-seconds.  ``rate`` is that of the slowest link (bytes/s) when nobody else is on the way.
    """

    start: str
    end: str
    capacities: tuple[Capacity, ...]
    per_byte: tuple[float, ...]
    latency_s: float
    message_overhead_s: float
    rate: float


class Transfer(NamedTuple):
    """``fixed_ticks`` that nothing stretches, then the ``phase`` that moves the bytes."""

    fixed_ticks: int
    phase: Phase


class Fabric:
    """Capacities and routes of one simulation; a capacity is made when it is first asked for."""

    def __init__(self, system: System, dtype: str = "bf16") -> None:
        """``dtype`` is the number format whose peak ``gpu0.tensor`` has."""
        self.system = system
        self._rates = system.capacities(dtype)
        self._capacities: dict[str, Capacity] = {}
        self._routes: dict[tuple[str, str], Route] = {}

    def capacity(self, name: str) -> Capacity:
        """The capacity of that name, the same object each time; unknown names raise ``ScenarioError``."""
        found = self._capacities.get(name)
        if found is None:
            if name not in self._rates:
                raise ScenarioError.of(
                    "unknown capacity", where="system", got=name, nearest=nearest(name, list(self._rates))
                )
            unit = "FLOP" if name.endswith(".tensor") else "s" if self._rates[name] == 1.0 else "bytes"
            found = self._capacities[name] = Capacity(name, self._rates[name], unit)
        return found

    @property
    def capacities(self) -> dict[str, Capacity]:
        """The capacities that were asked for by now."""
        return dict(self._capacities)

    def route(self, start: str, end: str) -> Route:
        """The fastest way; unknown places and places without a way between them raise ``ScenarioError``."""
        found = self._routes.get((start, end))
        if found is None:
            found = self._routes[start, end] = self._route(start, end)
        return found

    def _route(self, start: str, end: str) -> Route:
        hops = self.system.hops(start, end)
        nodes = self.system.topology.nodes
        takes: dict[str, float] = {}
        for place in (start, end):
            if memory := nodes[place].get("memory"):
                takes[memory] = takes.get(memory, 0.0) + 1.0
        for hop in hops:
            takes[hop["capacity"]] = takes.get(hop["capacity"], 0.0) + hop["per_byte"]
        capacities = tuple([self.capacity(name) for name in takes])
        return Route(
            start,
            end,
            capacities,
            tuple(takes.values()),
            sum([hop["latency"] for hop in hops]),
            max([hop["message_overhead"] for hop in hops], default=0.0),
            min([c.rate / units for c, units in zip(capacities, takes.values(), strict=True)], default=inf),
        )

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
    ) -> Transfer:
        """``size`` bytes from ``start`` to ``end`` in ``messages`` equal pieces, one after the other.

        The latency of the way and the overhead of the first message come before the bytes; the overheads of the
        others lengthen the phase and leave the links to others meanwhile.  ``io_size`` and ``queue_depth`` bound
        what a drive delivers.  ``write`` says what an access in place (``start == end``) does.
        """
        if messages < 1:
            raise ValueError(f"a transfer has at least one message, got {messages}")
        route = self.route(start, end)
        fixed = round((route.latency_s + route.message_overhead_s) * TICKS_PER_SECOND)
        if not size:
            return Transfer(fixed, Phase())
        gaps = (messages - 1) * route.message_overhead_s
        rate = size / (size / route.rate + gaps) if gaps else route.rate
        return Transfer(fixed, phase(size, route.capacities, route.per_byte, rate))


def phase(size: float, capacities: tuple[Capacity, ...], per_byte: tuple[float, ...], rate: float) -> Phase:
    """``size`` bytes at ``rate`` bytes/s over capacities that each byte takes unequal amounts of.

    Asks depend on the rate alone, so transfers of any size over one way count as equal users.
    """
    found = Phase(size / rate * TICKS_PER_SECOND if rate < inf else 0)
    takes = list(zip(capacities, per_byte, strict=True))
    found.amounts = tuple([(capacity, size * units) for capacity, units in takes])
    found.asks = tuple([(capacity, min(capacity.rate, rate * units)) for capacity, units in takes])
    return found
