"""What the domain remembers never shows: at any time everybody has what solving all of it anew would give."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernel.activity import Activity, Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.sharing import System, share
from tests.laws.test_sharing import TOLERANCE, Case, assert_bottleneck_fair, systems

TICK = 10**9


@settings(max_examples=150, deadline=None)
@given(systems(equal=True), st.data())
def test_shares_depend_on_the_numbers_of_users_alone(case: Case, data: st.DataObject) -> None:
    """Bit for bit, whatever the same system was solved for before; users of whom there are none change nothing."""
    rates, demands, weights, _ = case
    system = System(rates, demands, weights)
    numbers = st.lists(st.integers(0, 3), min_size=len(demands), max_size=len(demands))
    for counts in data.draw(st.lists(numbers, min_size=1, max_size=12)):
        progress = system.share(counts).progress
        fresh = System(rates, demands, weights).share(counts).progress
        there = [i for i, count in enumerate(counts) if count]
        assert [progress[i] for i in there] == [fresh[i] for i in there]
        if there:
            found: Case = (
                rates,
                [demands[i] for i in there],
                [weights[i] for i in there],
                [counts[i] for i in there],
            )
            assert_bottleneck_fair([progress[i] for i in there], found)


class Watch:
    """Compares the rates of everybody with a solution from the start, at each tick of a grid."""

    def __init__(self, domain: Domain, capacities: list[Capacity], until: int) -> None:
        self.domain = domain
        self.capacities = capacities
        for tick in range(1, until):
            domain.clock.at(tick * TICK + 7, self.look, late=True)

    def look(self) -> None:
        bundles = [bundle for bundle in self.domain.bundles.values() if bundle.count]
        bundles += [flow.bundle for capacity in self.capacities for flow in capacity.flows if flow.bundle.count]
        bundles = list(dict.fromkeys(bundles))
        place = {capacity: index for index, capacity in enumerate(self.capacities)}
        demands = [[(place[capacity], units) for capacity, units in bundle.asks] for bundle in bundles]
        if not demands:
            return
        shares = share(
            [capacity.rate for capacity in self.capacities],
            demands,
            [bundle.weight for bundle in bundles],
            [bundle.count for bundle in bundles],
        )
        for bundle, x in zip(bundles, shares.progress, strict=True):
            assert bundle.x == pytest.approx(x, rel=TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rates_equal_a_solution_of_everything_from_the_start(data: st.DataObject) -> None:
    clock = Clock()
    domain = Domain(clock)
    draw = data.draw(st.randoms(use_true_random=False))
    capacities = [Capacity(f"c{i}", 1e9 * (1 + i % 3)) for i in range(draw.randrange(2, 9))]
    routes = [draw.sample(capacities, draw.randrange(1, min(4, len(capacities)) + 1)) for _ in range(12)]
    Watch(domain, capacities, 60)

    def again(activity: Activity) -> None:
        if draw.random() < 0.8:
            start(clock.now + draw.choice([0, 0, 0, 3 * TICK]))

    def start(when: int) -> None:
        route = draw.choice(routes)
        rate = draw.choice([float("inf"), 4e8])
        phase = Phase.transfer(draw.randrange(1, 8) * 1e6, route, rate)
        activity = Activity(domain, phases=[phase], weight=draw.choice([1.0, 1.0, 2.0]), on_done=again)
        clock.at(when, activity.submit)

    def ask(demands: Mapping[Capacity, float]) -> None:
        flow.ask(demands)

    for _ in range(draw.randrange(1, 20)):
        start(draw.randrange(20) * TICK)
    flow = domain.flow("engine", lambda x, now: None, capacities=capacities[:2])
    for tick in range(0, 60, 7):
        demand = {capacities[0]: draw.choice([0.0, 5e8])}
        clock.at(tick * TICK + 1, lambda demand=demand: ask(demand))
    clock.run(until=60 * TICK)


def test_a_capacity_that_fills_again_with_somebody_new_is_shared_with_them() -> None:
    """The wide link keeps one component alive; the narrow one is full, then not, then full with an outsider."""
    clock = Clock()
    domain = Domain(clock)
    wide, narrow = Capacity("wide", 10e9), Capacity("narrow", 1e9)

    def start(when: int, seconds: float, rate: float, *route: Capacity) -> None:
        activity = Activity(domain, phases=[Phase.transfer(rate * seconds, route, rate)])
        clock.at(when * TICK, activity.submit)

    for more in range(5):
        start(0, 100, 2.0e9 + more, wide)
    start(0, 100, 0.4e9, wide, narrow)
    start(0, 0.001, 0.8e9, narrow)  # ends soon
    start(10, 100, 0.3e9, narrow)  # fits: nothing to solve
    start(20, 100, 0.4e9, wide, narrow)  # 1.1e9 of 1e9
    seen: list[dict[float, float]] = []
    for tick in (1, 9, 19, 21):
        clock.at(tick * TICK, lambda: seen.append(_rates(domain, narrow)), late=True)
    clock.run(until=30 * TICK)
    expected = ({4e8: 0.4e9, 8e8: 0.6e9}, {4e8: 0.4e9}, {4e8: 0.4e9, 3e8: 0.3e9}, {4e8: 0.35e9, 3e8: 0.3e9})
    for found, rates in zip(seen, expected, strict=True):
        assert found == pytest.approx(rates)


def _rates(domain: Domain, capacity: Capacity) -> dict[float, float]:
    return {units: units * bundle.x for bundle, units in capacity.bundles.items()}
