"""Slots are given in order, to several activities at once where they have places, and never block for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernel.activity import Activity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.slot import Slot


def timed(domain: Domain, name: str, slots: list[Slot], time: int, log: list[str], priority: int = 0) -> Activity:
    activity = Activity(domain, name, slots=slots, fixed=time, priority=priority, on_done=lambda a: log.append(a.name))
    activity.submit()
    return activity


def test_fifo_order_ignores_priority() -> None:
    domain, log = Domain(Clock()), []
    slot = Slot("stream")
    runs = [timed(domain, name, [slot], 10, log, p) for name, p in (("a", 3), ("b", 2), ("c", 1))]
    domain.clock.run()
    assert log == ["a", "b", "c"]
    assert [a.started for a in runs] == [0, 10, 20]
    assert [a.submitted for a in runs] == [0, 0, 0]


def test_priority_order_is_lowest_first_and_does_not_interrupt() -> None:
    domain, log = Domain(Clock()), []
    slot = Slot("queue", priority=True)
    for name, priority in (("running", 9), ("low", 5), ("high", 1), ("high too", 1)):
        timed(domain, name, [slot], 10, log, priority)
    domain.clock.run()
    assert log == ["running", "high", "high too", "low"]


def test_several_places() -> None:
    domain, log = Domain(Clock()), []
    slot = Slot("engines", 2)
    runs = [timed(domain, str(i), [slot], time, log) for i, time in enumerate((10, 4, 5, 5))]
    domain.clock.run()
    assert [a.started for a in runs] == [0, 0, 4, 9]


def test_nobody_overtakes_a_head_that_waits_for_another_slot() -> None:
    domain, log = Domain(Clock()), []
    left, right = Slot("left"), Slot("right")
    timed(domain, "l", [left], 10, log)
    both = timed(domain, "both", [left, right], 10, log)
    behind = timed(domain, "r", [right], 1, log)
    domain.clock.run()
    assert (both.started, behind.started) == (10, 20)


def test_a_priority_activity_uses_the_place_its_predecessor_could_not() -> None:
    domain, log = Domain(Clock()), []
    left, right = Slot("left", priority=True), Slot("right", priority=True)
    timed(domain, "l", [left], 10, log)
    timed(domain, "both", [left, right], 10, log, priority=5)
    urgent = timed(domain, "r", [right], 1, log, priority=1)
    domain.clock.run()
    assert urgent.started == 0
    assert log == ["r", "l", "both"]


def test_two_orders_that_could_deadlock_are_refused() -> None:
    domain, log = Domain(Clock()), []
    fifo, urgent = Slot("fifo"), Slot("urgent", priority=True)
    timed(domain, "a", [fifo], 10, log)
    with pytest.raises(ValueError, match="deadlock"):
        timed(domain, "b", [fifo, urgent], 10, log)


def test_a_slot_needs_a_place() -> None:
    with pytest.raises(ValueError, match="at least one place"):
        Slot("none", 0)


@settings(max_examples=100, deadline=None)
@given(
    st.booleans(),
    st.lists(st.integers(1, 3), min_size=3, max_size=3),
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True), st.integers(0, 5), st.integers(0, 3)
        ),
        max_size=25,
    ),
)
def test_everybody_gets_through_and_no_slot_is_overfull(
    priority: bool, counts: list[int], jobs: list[tuple[list[int], int, int]]
) -> None:
    domain, log = Domain(Clock()), []
    slots = [Slot(str(i), count, priority=priority) for i, count in enumerate(counts)]
    runs = [
        timed(domain, str(k), [slots[i] for i in places], time, log, urgency)
        for k, (places, time, urgency) in enumerate(jobs)
    ]
    domain.clock.run()
    assert sorted(log, key=int) == [str(k) for k in range(len(jobs))]
    assert [slot.free for slot in slots] == counts
    for i, slot in enumerate(slots):
        users = [a for a in runs if slot in a.slots]
        for at in {a.started for a in users}:
            assert sum(a.started <= at < a.finished for a in users) <= counts[i]
