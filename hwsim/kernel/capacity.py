"""A named capacity that activities share: a constant number of units per second."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.kernel.bundle import Bundle
    from hwsim.kernel.flow import Flow
    from hwsim.kernel.sharing import System

SLACK = 1e-12  # asks within this of the rate count as fitting: rounding must not look like contention


class Capacity:
    """What a resource delivers per second, as a constant: FLOP/s of a tensor core, bytes/s of a memory or a link.

    A medium whose speed depends on the mix is counted in device-seconds per second (rate 1): a read takes bytes over
    read speed of it, a write bytes over write speed.  ``delivered`` is the sum of the amounts of finished phases.
    A capacity belongs to the one simulation in which it is used; it compares and hashes by identity.
    """

    __slots__ = ("asked", "bundles", "delivered", "flows", "full_at", "index", "mark", "name", "rate", "system", "unit")

    def __init__(self, name: str, rate: float, unit: str = "bytes") -> None:
        """``rate`` in ``unit`` per second; ``ValueError`` unless it is positive and finite."""
        if not (isfinite(rate) and rate > 0):
            raise ValueError(f"capacity {name}: the rate must be positive and finite, got {rate} {unit}/s")
        self.name = name
        self.rate = float(rate)
        self.unit = unit
        self.full_at = self.rate * (1.0 + SLACK)
        self.delivered = 0.0
        self.bundles: dict[Bundle, float] = {}  # who asks now, and how much each member asks for
        self.asked = 0.0  # what they ask together, units per second
        self.flows: dict[Flow, None] = {}  # long-lived users that may come to ask
        self.mark = 0  # the search for a component that saw this capacity last
        self.system: System | None = None  # the one it is solved in, with everybody who uses it
        self.index = -1  # its place in the system that search built, -1 if it binds nobody

    def __repr__(self) -> str:
        return f"Capacity({self.name!r}, {self.rate:g} {self.unit}/s)"
