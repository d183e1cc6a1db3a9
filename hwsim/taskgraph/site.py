"""Where a graph runs: the places of a system, what work costs there, and an executor on their capacities.

All work of a graph is made here, so a what-if (``scale``) reaches every task: a resource that is ``f`` times as fast
takes ``1/f`` of the time wherever it is what limits, whatever the efficiency.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError, nearest
from hwsim.hardware.fabric import Fabric
from hwsim.hardware.storage import Drive
from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.recorder import Table
from hwsim.taskgraph.executor import COLUMNS, Executor
from hwsim.taskgraph.work import Work
from hwsim.taskgraph.write_cache import WriteCache
from hwsim.units import TICKS_PER_SECOND, ticks

if TYPE_CHECKING:
    from hwsim.cost.collective import CollectiveLaw
    from hwsim.hardware.device import Device
    from hwsim.hardware.node import Node
    from hwsim.hardware.system import System
    from hwsim.taskgraph.store import Store

ENGINES = ("tensor", "compute")
DRIVES = ("ssd", "flash")
FORMATS = ("bf16", "fp16", "fp32", "int8", "int4")
# Figures that say how much of a memory there is, by role.
ROOM = {"gpu": ("hbm.usable", "hbm.capacity")}


class Site:
    """Places, works and streams of one run.  ``scale`` speeds resources up by name (``{"dram": 1.1}``)."""

    def __init__(
        self,
        system: System,
        *,
        dtype: str = "bf16",
        scale: Mapping[str, float] | None = None,
        record: bool = False,
        fold: bool = True,
    ) -> None:
        self.system = system
        self.dtype = dtype
        self.fabric = Fabric(system, dtype)
        self.scale = dict(scale or {})
        self.table = Table(COLUMNS) if record else None
        self.executor = Executor(Domain(Clock()), fold=fold, table=self.table)
        self._works: dict[Any, Work] = {}
        self._engines: dict[str, Capacity] = {}
        self._collectives: dict[str, CollectiveLaw] = {}  # by group

    # -- places --------------------------------------------------------------------------------------------------

    def places(self) -> list[str]:
        """Names of all places."""
        return self.system.names()

    def known(self, place: str) -> bool:
        """True if bytes can be at, or go to, this place, or something computes there."""
        return self.system.has(place) or self.device(place) is not None

    def node(self, place: str) -> Node:
        """The machine that a place belongs to."""
        prefix = place.rpartition("/")[0].partition("/")[0]
        groups = self.system.groups
        if prefix in groups:
            return groups[prefix].node
        return next(iter(groups.values())).node

    def device(self, place: str) -> Device | None:
        """The devices at a place (None: nothing is there, or a switch)."""
        leaf = place.rpartition("/")[2]
        role = leaf.rstrip("0123456789")
        found = self.node(place).devices.get(role)
        if found is None or (leaf != role and int(leaf.removeprefix(role)) >= max(found.count, 1)):
            return None
        return found

    def collectives(self, place: str) -> CollectiveLaw | None:
        """The law of collectives among what is wired like this place (None: nothing is there)."""
        device = self.device(place)
        if device is None:
            return None
        group = self.system.spot(place).group
        found = self._collectives.get(group.name)
        if found is None:
            from hwsim.cost.efficiency import find
            from hwsim.cost.wired import wired

            found = self._collectives[group.name] = wired(find(device).collective, self.system, group)
        return found

    def engine(self, place: str) -> Capacity:
        """The FLOP/s of what computes at a place; ``ScenarioError`` if nothing does."""
        found = self._engines.get(place)
        if found is None:
            found = self._engines[place] = self._engine(place)
        return found

    def _engine(self, place: str) -> Capacity:
        rates = self.fabric.system.capacities(self.dtype)
        for base in (place, f"{place}0", place.rstrip("0")):
            for word in ENGINES:
                if f"{base}.{word}" in rates:
                    return self.fabric.capacity(f"{base}.{word}")
        device = self.device(place)
        order = (self.dtype, *FORMATS)
        peaks = [device.get(f"peak.{name}") for name in order] if device is not None else []
        peak = next((peak for peak in peaks if peak), None)
        if device is None or peak is None:
            raise ScenarioError.of(
                "nothing computes at this place", where="at", got=place, nearest=nearest(place, self.places())
            )
        leaf = place.rpartition("/")[2]
        count = device.count if leaf == leaf.rstrip("0123456789") else 1
        return Capacity(f"{place}.compute", peak * count, "FLOP")

    def memories(self, place: str) -> tuple[Capacity, ...]:
        """The capacities that bytes computed on at a place take: HBM, or DRAM and what the place's cores draw of it."""
        rates = self.fabric.system.capacities(self.dtype)
        prefix, slash, leaf = place.rpartition("/")
        if f"{place}.hbm" in rates:
            return (self.fabric.capacity(f"{place}.hbm"),)
        number = leaf.lstrip("abcdefghijklmnopqrstuvwxyz")
        own = [f"{place}.dram", f"{prefix}{slash}dram{number}", f"{prefix}{slash}dram"]
        return tuple([self.fabric.capacity(name) for name in dict.fromkeys(own) if name in rates])

    def room(self, place: str) -> int | None:
        """Bytes that fit at a place, None where nobody says."""
        device = self.device(place)
        if device is None:
            return None
        role = place.rpartition("/")[2].rstrip("0123456789")
        for name in ROOM.get(role, ("usable", "capacity")):
            size = device.get(name)
            if size:
                whole = role != "gpu" and not place[-1].isdigit()
                return int(size * (device.count if whole else 1))
        return None

    def store(self, place: str, capacity: int | None = None) -> Store:
        """The memory at a place."""
        found = self.executor.stores.get(place)
        return found or self.executor.store(place, self.room(place) if capacity is None else capacity)

    # -- work ----------------------------------------------------------------------------------------------------

    def compute(
        self,
        name: str,
        at: str,
        flop: float,
        moved: float = 0,
        *,
        efficiency: float = 1.0,
        memory_efficiency: float = 1.0,
        latency: float = 0.0,
        seconds: float | None = None,
    ) -> Work:
        """``flop`` at a place over ``moved`` bytes of its memory: a roofline of two efficiencies.

        ``seconds`` is what a finer cost law says it takes alone (at least as long as the peaks allow).
        """
        key = ("compute", name, at, flop, moved, efficiency, memory_efficiency, latency, seconds)
        found = self._works.get(key)
        if found is None:
            engine = self.engine(at)
            parts: dict[Capacity, tuple[float, float]] = {}
            if flop:
                parts[engine] = (flop, flop / (engine.rate * efficiency))
            if moved:
                for memory in self.memories(at):
                    parts[memory] = (moved, moved / (memory.rate * memory_efficiency))
            found = self._works[key] = self._work(name, "compute", latency, parts, seconds, flop=flop, size=moved)
        return found

    def copy(
        self,
        name: str,
        start: str,
        end: str,
        size: float,
        *,
        latency: float = 0.0,
        rate: float = inf,
        kind: str = "copy",
        written: float = 1.0,
        **how: Any,
    ) -> Work:
        """``size`` bytes between places (``how``: what ``Fabric.transfer`` takes), at ``rate`` bytes/s at most.

        ``written``: what a drive takes over what it would at its sustained rate.
        """
        key = ("copy", name, start, end, size, latency, rate, written, tuple(sorted(how.items())))
        found = self._works.get(key)
        if found is None:
            transfer = self.fabric.transfer(start, end, size, **how)
            phase = transfer.phase
            alone = max(phase.alone, size / rate * TICKS_PER_SECOND) / TICKS_PER_SECOND
            most = max([units / c.rate for c, units in phase.asks], default=1.0)
            parts = {c: (a, alone * _ask(phase, c) / c.rate / most) for c, a in phase.amounts}
            if written < 1:
                taken = {c: a * _share(c, end, written) for c, a in phase.amounts}
                parts = {c: (a, a / c.rate) for c, a in taken.items()}
                alone = max(time for _, time in parts.values())
            fixed = latency + transfer.fixed_ticks / TICKS_PER_SECOND
            found = self._works[key] = self._work(name, kind, fixed, parts, alone, size=size, route=(start, end))
        return found

    def write(self, name: str, start: str, end: str, size: float, **how: Any) -> Work:
        """A copy that is issued now; into a drive with a write cache as fast as that still takes it."""
        cache = self.cache(end)
        if cache is None or "io_size" in how or start == end:
            return self.copy(name, start, end, size, **how)
        return self.copy(name, start, end, size, written=cache.take(self.executor.clock.now, size), **how)

    def cache(self, place: str) -> WriteCache | None:
        """The write cache of the drive at a place."""
        caches = self.executor.caches
        if place not in caches:
            device = self.device(place) if place.rpartition("/")[2].startswith(DRIVES) else None
            whole = place == place.rstrip("0123456789")
            drive = Drive(device, max(device.count, 1) if whole else 1) if device is not None else None
            caches[place] = WriteCache.of(drive) if drive is not None else None
        return caches[place]

    def time(self, name: str, seconds: float, kind: str = "host") -> Work:
        """Nothing but time."""
        key = (kind, name, seconds)
        if key not in self._works:
            self._works[key] = Work(name, kind, fixed=ticks(seconds))
        return self._works[key]

    def taking(
        self,
        name: str,
        kind: str,
        seconds: float,
        demands: Mapping[Capacity, float],
        *,
        size: float = 0,
        flop: float = 0,
    ) -> Work:
        """Work of one phase of ``seconds`` alone that takes ``demands``."""
        key = (kind, name, seconds, tuple(demands.items()))
        if key not in self._works:
            parts = {c: (amount, amount / c.rate) for c, amount in demands.items()}
            self._works[key] = self._work(name, kind, 0.0, parts, seconds, size=size, flop=flop)
        return self._works[key]

    def _work(
        self,
        name: str,
        kind: str,
        latency: float,
        parts: Mapping[Capacity, tuple[float, float]],
        seconds: float | None,
        **worth: Any,
    ) -> Work:
        """One phase: ``parts`` are (amount, seconds that this alone would take) by capacity."""
        longest = max([time for _, time in parts.values()], default=0.0)
        bound = next((c.name for c, (_, time) in parts.items() if time == longest), "")
        alone = longest if seconds is None else max(seconds, longest)
        if self.scale and longest:
            stretch = alone / longest  # an efficiency below the parts' own goes with the resource that limits
            scaled = {c: (a / self._factor(c), t / self._factor(c)) for c, (a, t) in parts.items()}
            parts, alone = scaled, stretch * max(time for _, time in scaled.values())
        elif self.scale and "time" in self.scale:
            alone /= self.scale["time"]
        amounts = {capacity: amount for capacity, (amount, _) in parts.items()}
        phases = (Phase(alone * TICKS_PER_SECOND, amounts),) if alone or amounts else ()
        return Work(
            name, kind, fixed=ticks(latency), phases=phases, bound=bound or ("latency" if latency else ""), **worth
        )

    def _factor(self, capacity: Capacity) -> float:
        """A drive of a volume (``ssd1``) goes with the volume (``ssd``)."""
        return self.scale.get(capacity.name, self.scale.get(capacity.name.rstrip("0123456789"), 1.0))


def _share(capacity: Capacity, place: str, written: float) -> float:
    """What of a write's amounts a write cache changes: the seconds of the drive."""
    role, other = (name.rpartition("/")[2].rstrip("0123456789") for name in (capacity.name, place))
    return written if role == other and capacity.unit == "s" else 1.0


def _ask(phase: Phase, capacity: Capacity) -> float:
    return next(units for c, units in phase.asks if c is capacity)
