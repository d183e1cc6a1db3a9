"""The sharing domain: everyone who uses capacities now, solved once per instant and only where something changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hwsim.kernel.bundle import SMALL, Asks, Bundle, Component, User
from hwsim.kernel.clock import Clock, Timer
from hwsim.kernel.flow import Flow
from hwsim.kernel.sharing import Shares, System
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.kernel.activity import Phase
    from hwsim.kernel.capacity import Capacity

SAME_RATE = 1e-13  # a rate that moves by less than this share has not changed
KEPT = 1024  # solutions of small components that are remembered
PRUNE_FROM = 1024  # bundles remembered before empty ones are forgotten


class Domain:
    """Shares capacities among activities and flows, bottleneck-fair, with work only where asks exceed a capacity.

    A capacity whose users together ask for less than it has binds nobody: joining and leaving it costs additions and
    neither a solve nor an event.  Otherwise the change marks the connected component it touches; a late callback of
    the instant solves each marked component once, whatever the number of changes, and re-times what has a new rate.
    ``solves`` counts solved components, ``residual`` is the worst distance from fairness of any solution (0 when all
    were exact; above 1e-9 worth a warning).
    """

    __slots__ = (
        "bundles",
        "clock",
        "dirty",
        "late",
        "lonely",
        "prune_at",
        "residual",
        "searches",
        "solutions",
        "solves",
        "touched",
    )

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.solves = 0
        self.residual = 0.0
        self.searches = 0
        self.dirty: list[Component] = []
        self.touched: dict[Flow, None] = {}  # flows whose rate may have changed
        self.lonely: dict[Flow, None] = {}  # flows that asked for nothing and got company
        self.bundles: dict[tuple[float, Asks], Bundle] = {}
        self.prune_at = PRUNE_FROM
        self.solutions: dict[tuple[object, ...], Shares] = {}
        self.late = Timer(clock, self._settle, late=True)

    def flow(
        self,
        name: str,
        on_rate: Callable[[float, int], object],
        *,
        weight: float = 1.0,
        capacities: Iterable[Capacity] = (),
        on_company: Callable[[int], object] | None = None,
    ) -> Flow:
        """A long-lived user that asks for changing amounts; see ``Flow`` for the contract."""
        return Flow(self, name, on_rate, weight=weight, capacities=capacities, on_company=on_company)

    def delivered(self, capacities: Iterable[Capacity]) -> dict[str, float]:
        """Amounts that activities have taken of each capacity by now, those of unfinished phases included.

        Flows are not in it: what a flow's progress amounts to is known to its owner.
        """
        now = self.clock.now
        totals: dict[str, float] = {}
        for capacity in capacities:
            total = capacity.delivered
            for bundle, units in capacity.bundles.items():
                at = bundle.virtual + (now - bundle.since) * bundle.x
                for end, _, activity in bundle.ends:
                    total += units * (activity.phase.alone - (end - at)) / TICKS_PER_SECOND
            totals[capacity.name] = total
        return totals

    # -- joining and leaving -------------------------------------------------------------------------------------

    def start(self, user: User, phase: Phase) -> None:
        """Let a phase of an activity or task progress from now on; its ``phase_ended`` is called when it is through."""
        bundle = phase.bundle
        if bundle is None or bundle.weight != user.weight:
            phase.bundle = bundle = self._bundle(phase.asks, user.weight)
        user.bundle = bundle
        now = self.clock.now
        if bundle.count:
            first = bundle.push(user, phase.alone, now)
            if self.join(bundle) and first:
                bundle.single.timer.set(bundle.due)
        else:
            bundle.virtual, bundle.since = 0.0, now
            if not bundle.component.contended:
                bundle.x = 1.0
            bundle.ends.append((phase.alone, 0, user))
            bundle.due = bundle.next_end()
            if self.join(bundle):
                bundle.single.timer.set(bundle.due)

    def _bundle(self, asks: Asks, weight: float) -> Bundle:
        bundle = self.bundles.get((weight, asks))
        if bundle is None:
            if len(self.bundles) >= self.prune_at:
                self.bundles = {key: bundle for key, bundle in self.bundles.items() if bundle.count}
                self.prune_at = max(PRUNE_FROM, 2 * len(self.bundles))
            bundle = self.bundles[weight, asks] = Bundle(self, asks, weight)
        return bundle

    def join(self, bundle: Bundle) -> bool:
        """Count one more member of ``bundle``; True if it progresses at its own pace with nothing to solve."""
        component = bundle.component
        system = component.system
        if not bundle.count:
            for capacity, units in bundle.asks:
                capacity.bundles[bundle] = units
                if capacity.system is not system:  # it has a user whom that system does not know
                    capacity.system = None
                if capacity.flows:
                    self._announce(capacity, bundle)
        bundle.count += 1
        free = not component.contended
        for capacity, units in bundle.asks:
            capacity.asked = asked = capacity.asked + units
            if asked > capacity.full_at:
                free = False
                if capacity.system is not system:
                    component.system = None
        if not free:
            self._mark(component)
        return free

    def leave(self, bundle: Bundle) -> None:
        """Count one member of ``bundle`` less."""
        component = bundle.component
        bundle.count -= 1
        if bundle.count:
            for capacity, units in bundle.asks:
                before = capacity.asked
                capacity.asked = before - units
                if before > capacity.full_at >= capacity.asked:
                    component.loose = True
        else:
            component.loose = True
            for capacity, units in bundle.asks:
                del capacity.bundles[bundle]
                # an empty capacity is asked for nothing exactly: rounding does not build up
                capacity.asked = capacity.asked - units if capacity.bundles else 0.0
        if component.contended:
            self._mark(component)
            if bundle.flow is not None:  # it may ask for something else next
                component.system = None
                bundle.component = bundle.single
                bundle.single.contended = False

    def _announce(self, capacity: Capacity, bundle: Bundle) -> None:
        for flow in capacity.flows:
            if flow.bundle is not bundle and not flow.bundle.count and flow.on_company is not None:
                self.lonely[flow] = None
                self.late.set(self.clock.now)

    def _mark(self, component: Component) -> None:
        if not component.dirty:
            component.dirty = True
            self.dirty.append(component)
            self.late.set(self.clock.now)

    def touch(self, flow: Flow) -> None:
        """Look at the end of this instant whether a flow's rate is another one."""
        self.touched[flow] = None
        self.late.set(self.clock.now)

    # -- solving -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """The end of an instant: flows with new company may ask, then solve what was touched and tell who changed."""
        now = self.clock.now
        while self.lonely:
            flow = next(iter(self.lonely))
            del self.lonely[flow]
            if flow.on_company is not None and not flow.bundle.count:
                flow.on_company(now)
        self.late.cancel()  # what they asked is solved here
        dirty, self.dirty = self.dirty, []
        self.searches = self.searches + 1
        stale: list[Component] = []
        for component in dirty:
            component.dirty = False
            if component.system is None or component.outdated():
                component.system = None
                stale.append(component)
        for component in stale:  # grows by those that are found to be connected to one of them
            self._dissolve(component, stale)
        for component in dirty:
            if component.system is not None:
                self._solve(component)
        touched, self.touched = self.touched, {}
        for flow in touched:
            flow.tell(now)

    def _dissolve(self, component: Component, stale: list[Component]) -> None:
        """Find the components that the bundles of a former one are in now."""
        component.timer.cancel()
        component.contended = False
        for bundle in component.bundles:
            if bundle.component is component:
                bundle.component = bundle.single
        for bundle in component.bundles:
            if bundle.count and bundle.mark != self.searches:
                self._connect(bundle, stale)

    def _connect(self, seed: Bundle, stale: list[Component]) -> None:
        """Find the component that ``seed`` is in now: over capacities asked for more than they have; and solve it."""
        bundles, full, demands = self._search(seed, self.searches)
        component = seed.single if len(bundles) == 1 else Component(self, bundles)
        for bundle in bundles:
            before = bundle.component
            if before is not component:
                before.timer.cancel()
                if before.system is not None:
                    before.system = None
                    stale.append(before)
                bundle.component = component
        component.contended = bool(full)
        component.full = full
        component.loose = False
        component.solves = 0
        component.solved = []
        if full:
            weights = [bundle.weight for bundle in bundles]
            component.system = system = System([capacity.rate for capacity in full], demands, weights)
            for capacity in full:
                capacity.system = system
            self._solve(component)
        else:
            component.system = None
            self._give(component, [1.0])

    def _search(self, seed: Bundle, search: int) -> tuple[list[Bundle], list[Capacity], list[list[tuple[int, float]]]]:
        """Bundles reached over capacities asked for more than they have; those capacities; who asks what of them."""
        seed.mark = search
        bundles, full, demands = [seed], [], []
        for bundle in bundles:  # grows as neighbours are found
            demand: list[tuple[int, float]] = []
            for capacity, units in bundle.asks:
                if capacity.mark != search:
                    capacity.mark = search
                    # the running sum gathers rounding: take it anew where it decides something
                    capacity.asked = sum([b.count * u for b, u in capacity.bundles.items()])
                    if capacity.asked <= capacity.full_at:
                        capacity.index = -1
                        continue
                    capacity.index = len(full)
                    full.append(capacity)
                    for other in capacity.bundles:
                        if other.mark != search:
                            other.mark = search
                            bundles.append(other)
                if capacity.index >= 0:
                    demand.append((capacity.index, units))
            demands.append(demand)
        return bundles, full, demands

    def _solve(self, component: Component) -> None:
        assert component.system is not None
        counts = [bundle.count for bundle in component.bundles]
        if counts == component.solved:  # who left was replaced by an equal
            component.retime()
            return
        shares = self._shares(component, component.system, counts)
        component.solved = counts
        component.solves += 1
        self.solves += 1
        if shares.residual > self.residual:
            self.residual = shares.residual
        self._give(component, shares.progress)

    def _shares(self, component: Component, system: System, counts: list[int]) -> Shares:
        """Who gets how much; small components come again and again, and have the same solution each time.

        Those with flows do not: what these ask for changes.
        """
        if len(counts) > SMALL or any(bundle.flow is not None for bundle in component.bundles):
            return system.share(counts)
        key = (*component.bundles, *component.full, *counts)
        found = self.solutions.get(key)
        if found is None:
            if len(self.solutions) >= KEPT:
                self.solutions.clear()
            found = self.solutions[key] = system.share(counts)
        return found

    def _give(self, component: Component, progress: list[float]) -> None:
        """Let each bundle of a component have its progress from now on."""
        now = self.clock.now
        for bundle, x in zip(component.bundles, progress, strict=True):
            before = bundle.x
            if x != before and abs(x - before) > SAME_RATE * x:
                bundle.set_rate(x, now)
                if bundle.flow is not None:
                    self.touched[bundle.flow] = None
        component.retime()
