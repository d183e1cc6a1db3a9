"""Activities and flows on shared links end when an exact fluid simulation in fractions says they do."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernel.activity import Activity, Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.units import TICKS_PER_SECOND

MS = 10**9
FINE = 10**24


class Work(NamedTuple):
    """``alone`` ticks of work that takes ``rate`` units per second of every link of its route when alone."""

    alone: int
    rate: int


class Chain(NamedTuple):
    """Pieces of work one after the other, from ``start`` on."""

    start: int
    weight: int
    route: tuple[int, ...]
    works: list[Work]


def fluid(rates: list[int], chains: list[Chain]) -> list[list[Fraction]]:
    """When each piece of work ends, in ticks, by exact weighted max-min sharing between events.

    Times are fractions rounded to 1e-24 ticks after each event: unrounded, their digits grow with every event.
    """
    left = [Fraction(chain.works[0].alone) for chain in chains]
    stage = [0] * len(chains)
    ends: list[list[Fraction]] = [[] for _ in chains]
    now = Fraction(0)
    while any(stage[i] < len(chain.works) for i, chain in enumerate(chains)):
        active = [i for i, c in enumerate(chains) if c.start <= now and stage[i] < len(c.works)]
        pace = paces(rates, {i: chains[i] for i in active}, {i: chains[i].works[stage[i]].rate for i in active})
        later = [Fraction(c.start) for c in chains if c.start > now]
        due = {i: now + left[i] / pace[i] for i in active}
        now_next = min([*due.values(), *later])
        for i in active:
            left[i] = (left[i] - (now_next - now) * pace[i]).limit_denominator(FINE)
            if due[i] - now_next < Fraction(1, 10**12):
                ends[i].append(now_next)
                stage[i] += 1
                if stage[i] < len(chains[i].works):
                    left[i] = Fraction(chains[i].works[stage[i]].alone)
        now = now_next.limit_denominator(FINE)
    return ends


def paces(rates: list[int], chains: dict[int, Chain], asks: dict[int, int]) -> dict[int, Fraction]:
    got: dict[int, Fraction] = {}
    while len(got) < len(chains):
        rising = [i for i in chains if i not in got]
        levels: list[tuple[Fraction, list[int]]] = [(Fraction(asks[i], chains[i].weight), [i]) for i in rising]
        for link, rate in enumerate(rates):
            on = [i for i in rising if link in chains[i].route]
            if on:
                taken = sum(got[i] for i in got if link in chains[i].route)
                levels.append((Fraction(rate - taken) / sum(chains[i].weight for i in on), on))
        level = min(level for level, _ in levels)
        for at, users in levels:
            if at == level:
                got |= {i: level * chains[i].weight for i in users}
    return {i: got[i] / asks[i] for i in chains}


class Owner:
    """A serving engine in small: counts alone time itself and asks where its work changes.

    ``macro`` asks once for neighbouring pieces of equal work and finds the ends in between from its anchors;
    otherwise it takes every piece alone.
    """

    def __init__(self, domain: Domain, links: list[Capacity], chain: Chain, macro: bool) -> None:
        self.clock = domain.clock
        self.links = [links[c] for c in chain.route]
        self.works = chain.works
        self.macro = macro
        self.flow = domain.flow("engine", self.on_rate, weight=chain.weight, capacities=self.links)
        self.timer = self.clock.timer(self.stretch_ends)
        self.at = 0  # first piece of the stretch
        self.marks: list[int] = []  # alone time at which pieces of the stretch end
        self.wall, self.alone, self.x = 0, 0.0, 1.0  # the anchor
        self.ends: list[float] = []
        self.clock.at(chain.start, self.begin)

    def begin(self) -> None:
        """Start a stretch at the present tick."""
        if self.at == len(self.works):
            self.flow.close()
            return
        rate, total, self.marks = self.works[self.at].rate, 0, []
        for work in self.works[self.at :]:
            if work.rate != rate or (self.marks and not self.macro):
                break
            total += work.alone
            self.marks.append(total)
        self.at += len(self.marks)
        self.wall, self.alone = self.clock.now, 0.0
        self.flow.ask(dict.fromkeys(self.links, rate))
        self.timer.set(round(self.wall_time(total)))

    def wall_time(self, alone: float) -> float:
        return self.wall + (alone - self.alone) / self.x

    def pass_marks(self, until: float) -> None:
        """Note the ends of pieces up to alone time ``until``: they were passed at the present rate."""
        while self.marks and self.marks[0] <= until:
            self.ends.append(self.wall_time(self.marks.pop(0)))

    def on_rate(self, x: float, now: int) -> None:
        alone = self.alone + (now - self.wall) * self.x
        self.pass_marks(alone)
        self.wall, self.alone, self.x = now, alone, x
        if self.marks:
            self.timer.set(max(now, round(self.wall_time(self.marks[-1]))))

    def stretch_ends(self) -> None:
        self.pass_marks(float("inf"))
        self.begin()


def copies(domain: Domain, links: list[Capacity], chain: Chain) -> list[int]:
    """The same chain as activities: one phase per piece of work."""
    ends: list[int] = []
    route = [links[c] for c in chain.route]

    def submit() -> None:
        if len(ends) < len(chain.works):
            work = chain.works[len(ends)]
            amount = work.rate * work.alone / TICKS_PER_SECOND
            phase = Phase(work.alone, dict.fromkeys(route, amount))
            Activity(domain, phases=[phase], weight=chain.weight, on_done=ended).submit()

    def ended(activity: Activity) -> None:
        ends.append(activity.finished)
        submit()

    domain.clock.at(chain.start, submit)
    return ends


def simulate(rates: list[int], chains: list[Chain], engines: int, macro: bool = False) -> list[list[float]]:
    """End times of all work: the first ``engines`` chains as flows with an owner, the others as activities."""
    clock = Clock()
    domain = Domain(clock)
    links = [Capacity(f"link{i}", rate) for i, rate in enumerate(rates)]
    owners = [Owner(domain, links, chain, macro) for chain in chains[:engines]]
    others = [copies(domain, links, chain) for chain in chains[engines:]]
    clock.run()
    assert domain.residual <= 1e-9
    assert all(not link.bundles and not link.flows and link.asked == 0.0 for link in links)
    return [list(owner.ends) for owner in owners] + [list(map(float, ends)) for ends in others]


def assert_same(got: list[list[float]], expected: list[list[Fraction]] | list[list[float]]) -> None:
    for ours, exact in zip(got, expected, strict=True):
        assert ours == pytest.approx([float(end) for end in exact], rel=1e-9)


def test_two_engines_and_background_copies_on_one_link() -> None:
    """Rates change in the middle of steps, weights differ, and the link is never the same for long."""
    chains = [
        Chain(0, 1, (0,), [Work(20 * MS, 40)] * 12 + [Work(35 * MS, 25)] * 5),
        Chain(7 * MS, 2, (0,), [Work(13 * MS, 70)] * 20),
        Chain(31 * MS, 1, (0,), [Work(50 * MS, 64), Work(10 * MS, 64), Work(80 * MS, 30)]),
        Chain(31 * MS, 1, (0,), [Work(5 * MS, 100)] * 9),
        Chain(173 * MS, 3, (0,), [Work(100 * MS, 99)]),
    ]
    expected = fluid([100], chains)
    for engines in (0, 2):
        for macro in (False, True):
            assert_same(simulate([100], chains, engines, macro), expected)


works = st.lists(
    st.builds(Work, st.integers(20 * MS, 200 * MS), st.sampled_from([20, 35, 50, 90])), min_size=1, max_size=5
)


@st.composite
def random_chains(draw: st.DrawFn) -> tuple[list[int], list[Chain]]:
    rates = draw(st.lists(st.sampled_from([90, 100, 130, 250]), min_size=1, max_size=3))
    chains = draw(
        st.lists(
            st.builds(
                Chain,
                st.integers(0, 300 * MS),
                st.sampled_from([1, 1, 1, 2, 5]),
                st.lists(st.integers(0, len(rates) - 1), min_size=1, unique=True).map(tuple),
                works,
            ),
            min_size=1,
            max_size=5,
        )
    )
    return rates, chains


@settings(max_examples=60, deadline=None)
@given(random_chains(), st.integers(0, 3), st.booleans())
def test_random_chains_on_random_routes(case: tuple[list[int], list[Chain]], engines: int, macro: bool) -> None:
    rates, chains = case
    assert_same(simulate(rates, chains, engines, macro), fluid(rates, chains))


@settings(max_examples=30, deadline=None)
@given(random_chains())
def test_equal_runs_are_bit_equal(case: tuple[list[int], list[Chain]]) -> None:
    assert simulate(*case, engines=1) == simulate(*case, engines=1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_amounts_are_conserved_and_no_capacity_is_exceeded(data: st.DataObject) -> None:
    """Unequal amounts, several phases: what is delivered is what was asked, and at no time more than there is."""
    clock = Clock()
    domain = Domain(clock)
    capacities = [
        Capacity(f"c{i}", rate) for i, rate in enumerate(data.draw(st.lists(st.floats(1, 100), min_size=1, max_size=4)))
    ]
    amount = st.floats(0.001, 5)
    total = {capacity.name: 0.0 for capacity in capacities}
    for _ in range(data.draw(st.integers(1, 8))):
        phases = []
        for _ in range(data.draw(st.integers(1, 3))):
            picked = data.draw(st.lists(st.sampled_from(capacities), unique=True, max_size=3))
            amounts = {capacity: data.draw(amount) for capacity in picked}
            phases.append(Phase(data.draw(st.integers(1, 10**11)), amounts))
            for capacity, taken in amounts.items():
                total[capacity.name] += taken
        activity = Activity(domain, phases=phases)
        clock.at(data.draw(st.integers(0, 10**11)), activity.submit)
    before, at = domain.delivered(capacities), 0
    while clock.queue:
        clock.run(until=clock.now + data.draw(st.integers(10**9, 10**12)))
        after = domain.delivered(capacities)
        for capacity in capacities:
            moved = after[capacity.name] - before[capacity.name]
            most = capacity.rate * (clock.now - at) / TICKS_PER_SECOND
            assert -1e-9 <= moved <= most * (1 + 1e-9) + 1e-9
        before, at = after, clock.now
    assert before == pytest.approx(total, rel=1e-9)
    assert domain.residual <= 1e-9
