"""A way between two places: the capacities it takes, how much a byte takes of each, and what it costs in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwsim.hardware.storage import Drive
from hwsim.kernel.capacity import Capacity

if TYPE_CHECKING:
    from hwsim.hardware.system import Leg


@dataclass(frozen=True, slots=True)
class Store:
    """A drive at an end of a way: what it is, which capacity counts its seconds, the share of the bytes it takes."""

    drive: Drive
    capacity: Capacity
    share: float
    write: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The way from a place to another.

    ``per_byte`` says how much of each capacity a byte takes: 1, or a share where bytes are spread over several
    devices, or seconds where a device is counted in device-seconds.  ``rate`` is that of the slowest link (bytes/s)
    when nobody else is on the way; ``message_overhead_s`` that of the link with the largest, for large messages.
    """

    start: str
    end: str
    capacities: tuple[Capacity, ...]
    per_byte: tuple[float, ...]
    latency_s: float
    message_overhead_s: float
    rate: float
    legs: tuple[Leg, ...] = ()
    stores: tuple[Store, ...] = ()

    def overhead(self, message: float) -> float:
        """Seconds that a message of that size takes beyond its bytes: measured on a link by size, else its figure."""
        found = self.message_overhead_s
        for leg in self.legs:
            curve = leg.hop.by_size
            if curve is not None:
                found = max(found, message / curve.at(message).value - message / curve.most())
        return found


def merged(stores: list[Store]) -> tuple[Store, ...]:
    """One entry per drive and direction, with the whole of its share."""
    found: dict[tuple[Capacity, bool], Store] = {}
    for store in stores:
        key = (store.capacity, store.write)
        before = found[key].share if key in found else 0.0
        found[key] = Store(store.drive, store.capacity, before + store.share, store.write)
    return tuple(found.values())
