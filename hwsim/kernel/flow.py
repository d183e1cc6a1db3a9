"""A long-lived user of capacities that does its own accounting of progress, such as a serving engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from hwsim.kernel.bundle import Bundle

if TYPE_CHECKING:
    from hwsim.kernel.capacity import Capacity
    from hwsim.kernel.domain import Domain


class Flow:
    """Asks for rates of capacities that change over time and is told at which pace ``x`` its own time passes.

    The owner counts its work in *alone time*, the time it would take with the capacities to itself.  While the flow
    has rate ``x``, one tick of wall time is ``x`` ticks of alone time: with the anchor ``(wall0, alone0)`` taken
    when ``x`` last changed, ``alone = alone0 + (wall - wall0) * x``.

    The contract:

    - ``ask(demands)`` says how many units per second *of alone time* are taken from now on (``{}``: nothing).  It
      holds until the next ``ask``; the owner asks again where a stretch of equal work ends.  Asking for the same
      again costs one comparison.
    - ``on_rate(x, now)`` is called at the end of an instant (after all its other events) in which ``x`` became
      another number, for whatever reason, and never otherwise.  No time passes between an ``ask`` and the rate that
      follows from it, so the owner may go on with the rate it knows and re-anchor when told.  ``x`` starts at 1 and
      is back at 1 after ``ask({})``.  ``x`` is in (0, 1].  ``on_rate`` may call ``ask``.
    - Asks above a capacity's rate are allowed: the flow is then slowed even when alone.
    - ``capacities`` names all it may ever ask for.  ``sole`` is True while nobody else uses or has named any of
      them: the flow then runs at 1 whatever it asks within their rates, so its owner may save the asking and leave
      the ask at ``{}``.  ``on_company(now)`` is called at the end of an instant in which somebody else has begun to
      use one of them while the flow asked for nothing; the owner asks then for what it is doing, within this call,
      and the rate of the same instant counts it.
    - ``close()`` when the owner is gone.
    """

    __slots__ = ("bundle", "capacities", "domain", "name", "on_company", "on_rate", "x")

    def __init__(
        self,
        domain: Domain,
        name: str,
        on_rate: Callable[[float, int], object],
        *,
        weight: float = 1.0,
        capacities: Iterable[Capacity] = (),
        on_company: Callable[[int], object] | None = None,
    ) -> None:
        if not weight > 0:
            raise ValueError(f"flow {name}: the weight must be positive, got {weight}")
        self.domain = domain
        self.name = name
        self.on_rate = on_rate
        self.on_company = on_company
        self.x = 1.0
        self.bundle = Bundle(domain, (), weight, self)
        self.capacities = tuple(dict.fromkeys(capacities))
        for capacity in self.capacities:
            capacity.flows[self] = None

    def ask(self, demands: Mapping[Capacity, float]) -> None:
        """Take ``demands`` (units per second of alone time by capacity, zeros ignored) from now on."""
        asks = tuple([(capacity, units) for capacity, units in demands.items() if units])
        bundle = self.bundle
        if asks == bundle.asks:
            return
        for capacity, units in asks:
            if not 0 < units < float("inf"):
                raise ValueError(f"flow {self.name}: asks {units} {capacity.unit}/s of {capacity.name}")
        if bundle.count:
            self.domain.leave(bundle)
        bundle.asks = asks
        if not asks or self.domain.join(bundle):
            bundle.x = 1.0
        if self.x != 1.0:
            self.domain.touch(self)

    def tell(self, now: int) -> None:
        """Let the owner know the present rate if it is a new one."""
        x = self.bundle.x if self.bundle.count else 1.0
        if x != self.x:
            self.x = x
            self.on_rate(x, now)

    @property
    def sole(self) -> bool:
        """True while nobody else uses, or may come to use, any of its declared capacities."""
        for capacity in self.capacities:
            if len(capacity.flows) > 1:
                return False
            users = capacity.bundles
            if users and (len(users) > 1 or self.bundle not in users):
                return False
        return True

    def close(self) -> None:
        """Ask for nothing any more and give up the declared capacities."""
        self.ask({})
        for capacity in self.capacities:
            capacity.flows.pop(self, None)
        self.capacities = ()
