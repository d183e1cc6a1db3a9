"""Laws of bottleneck-fair sharing, over random systems and against an independent exact solver for byte flows."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernel.sharing import residual, share

TOLERANCE = 1e-9

Case = tuple[list[float], list[list[tuple[int, float]]], list[float], list[int]]


@st.composite
def systems(draw: st.DrawFn, equal: bool = False) -> Case:
    """Rates, demands, weights and counts; ``equal``: each user takes the same of all its capacities."""
    rates = draw(st.lists(st.floats(0.1, 10), min_size=1, max_size=7))
    demands = []
    for _ in range(draw(st.integers(1, 10))):
        route = draw(st.lists(st.integers(0, len(rates) - 1), min_size=1, max_size=4, unique=True))
        if equal:
            ask = draw(st.floats(0.05, 1)) * min(rates[c] for c in route)
            demands.append([(c, ask) for c in route])
        else:
            demands.append([(c, draw(st.floats(0.01, 1)) * rates[c]) for c in route])
    weights = draw(st.lists(st.sampled_from([1.0, 1.0, 0.5, 3.0, 0.1]), min_size=len(demands), max_size=len(demands)))
    counts = draw(st.lists(st.sampled_from([1, 1, 2, 7]), min_size=len(demands), max_size=len(demands)))
    return rates, demands, weights, counts


def loads(progress: list[float], case: Case) -> list[float]:
    rates, demands, _, counts = case
    totals = [0.0] * len(rates)
    for x, demand, count in zip(progress, demands, counts, strict=True):
        for c, units in demand:
            totals[c] += x * units * count
    return totals


def assert_bottleneck_fair(progress: list[float], case: Case) -> None:
    """Every user has x = 1, or a full capacity on which nobody gets more per weight, in that capacity's units."""
    rates, demands, weights, _ = case
    totals = loads(progress, case)
    assert all(load <= rate * (1 + TOLERANCE) for load, rate in zip(totals, rates, strict=True))
    for x, demand, weight in zip(progress, demands, weights, strict=True):
        assert 0 < x <= 1
        if x >= 1 - TOLERANCE:
            continue
        excuses = []
        for c, units in demand:
            others = [
                u * y / v for y, other, v in zip(progress, demands, weights, strict=True) for d, u in other if d == c
            ]
            full = totals[c] >= rates[c] * (1 - TOLERANCE)
            excuses.append(full and units * x / weight >= max(others) * (1 - TOLERANCE))
        assert any(excuses)


@settings(max_examples=400, deadline=None)
@given(systems())
def test_feasible_and_bottleneck_fair_for_unequal_amounts(case: Case) -> None:
    shares = share(*case)
    assert_bottleneck_fair(shares.progress, case)
    assert shares.residual <= TOLERANCE
    assert residual(shares.progress, *case) <= TOLERANCE


def exact_max_min(case: Case) -> list[Fraction]:
    """Weighted max-min fair rates of byte flows with own limits, by raising one common level in exact fractions."""
    rates, demands, weights, counts = case
    weight = [Fraction(w) for w in weights]
    rate: dict[int, Fraction] = {}
    while len(rate) < len(demands):
        rising = [i for i in range(len(demands)) if i not in rate]
        levels = {("user", i): Fraction(demands[i][0][1]) / weight[i] for i in rising}
        for c, capacity in enumerate(rates):
            on = [i for i, demand in enumerate(demands) if c in dict(demand)]
            mass = sum((weight[i] * counts[i] for i in on if i not in rate), Fraction(0))
            if mass:
                levels["link", c] = (Fraction(capacity) - sum(rate[i] * counts[i] for i in on if i in rate)) / mass
        level = min(levels.values())
        for (kind, k), at in levels.items():
            if at == level:
                on = [k] if kind == "user" else [i for i in rising if k in dict(demands[i])]
                for i in on:
                    rate[i] = weight[i] * level
    return [rate[i] for i in range(len(demands))]


@settings(max_examples=300, deadline=None)
@given(systems(equal=True))
def test_byte_flows_equal_an_independent_max_min_solver(case: Case) -> None:
    shares = share(*case)
    assert shares.rounds == 1
    for x, demand, expected in zip(shares.progress, case[1], exact_max_min(case), strict=True):
        assert x * demand[0][1] == pytest.approx(float(expected), rel=TOLERANCE)
    assert_bottleneck_fair(shares.progress, case)


@settings(max_examples=100, deadline=None)
@given(systems())
def test_equal_users_counted_are_equal_users_listed(case: Case) -> None:
    """A count of n solves the same as n users written out, where the solution is unique enough to compare."""
    rates, demands, weights, counts = case
    listed = [i for i, count in enumerate(counts) for _ in range(count)]
    apart = share(rates, [demands[i] for i in listed], [weights[i] for i in listed])
    full: Case = (rates, [demands[i] for i in listed], [weights[i] for i in listed], [1] * len(listed))
    assert_bottleneck_fair(apart.progress, full)
    together = share(*case).progress
    assert_bottleneck_fair([together[i] for i in listed], full)


@settings(max_examples=100, deadline=None)
@given(systems())
def test_the_same_question_has_the_same_answer(case: Case) -> None:
    assert share(*case) == share(*case)


@settings(max_examples=100, deadline=None)
@given(systems(), st.floats(1e-9, 1e15))
def test_the_unit_of_a_capacity_does_not_matter(case: Case, factor: float) -> None:
    rates, demands, weights, counts = case
    scaled: Case = (
        [rates[0] * factor, *rates[1:]],
        [[(c, units * factor if c == 0 else units) for c, units in demand] for demand in demands],
        weights,
        counts,
    )
    assert_bottleneck_fair(share(*scaled).progress, scaled)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 30)), min_size=1, max_size=5),
    st.integers(0, 4),
    st.floats(1, 10),
)
def test_one_user_alone_is_monotone_in_every_capacity(uses: list[tuple[float, float]], which: int, more: float) -> None:
    rates = [rate for rate, _ in uses]
    demand = [list(enumerate(units for _, units in uses))]
    before = share(rates, demand, [1.0]).progress[0]
    rates[which % len(rates)] *= more
    after = share(rates, demand, [1.0]).progress[0]
    assert after >= before * (1 - 1e-12)
    assert before == pytest.approx(min(1.0, *(rate / units for rate, units in uses)), rel=1e-12)


def test_two_flows_and_a_third_with_its_own_limit() -> None:
    assert share([12.0], [[(0, 12.0)], [(0, 12.0)], [(0, 2.0)]], [1, 1, 1]).progress == [5 / 12, 5 / 12, 1.0]


def test_weights() -> None:
    progress = share([12.0], [[(0, 12.0)], [(0, 12.0)]], [3, 1]).progress
    assert progress == pytest.approx([0.75, 0.25], rel=1e-15)


def test_parking_lot() -> None:
    """One flow over three links and one flow on each: the long one gets half of the slowest."""
    rates = [4.0, 10.0, 6.0]
    demands = [[(0, 4.0), (1, 4.0), (2, 4.0)], [(0, 4.0)], [(1, 10.0)], [(2, 6.0)]]
    progress = share(rates, demands, [1, 1, 1, 1]).progress
    got = [x * demand[0][1] for x, demand in zip(progress, demands, strict=True)]
    assert got == pytest.approx([2, 2, 8, 4], rel=1e-15)


def test_roofline_pair_solves_its_two_equations() -> None:
    """One bound by compute, one by memory: each gets what the other leaves of its own bottleneck."""
    progress = share([1.0, 1.0], [[(0, 1.0), (1, 0.3)], [(0, 0.1), (1, 0.9)]], [1, 1]).progress
    # x + 0.1 y = 1 and 0.3 x + 0.9 y = 1
    assert progress == pytest.approx([0.8 / 0.87, 0.7 / 0.87], rel=1e-12)


def test_nearly_equal_bottlenecks_converge() -> None:
    """Iterating levels alone would contract by 2 % a round here."""
    shares = share([1.0, 1.0], [[(0, 1.0), (1, 0.99)], [(0, 0.99), (1, 1.0)]], [1, 1])
    assert shares.progress == pytest.approx([1 / 1.99, 1 / 1.99], rel=1e-12)
    assert shares.rounds < 10


def test_residual_sees_an_unfair_solution() -> None:
    demands = [[(0, 1.0)], [(0, 1.0)]]
    assert residual([0.5, 0.5], [1.0], demands, [1, 1]) == 0
    assert residual([0.6, 0.4], [1.0], demands, [1, 1]) == pytest.approx(1 / 3)
    assert residual([0.4, 0.4], [1.0], demands, [1, 1]) == pytest.approx(0.2)
