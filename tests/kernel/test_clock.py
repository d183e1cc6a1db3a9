"""Time is an integer, ties keep their order, late callbacks end an instant, timers move without a trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import simpy

from hwsim.kernel.clock import COMPACT_FROM, Clock


def test_events_run_in_order_of_time_then_of_scheduling() -> None:
    clock, seen = Clock(), []
    for name, time in (("c", 7), ("a", 3), ("b", 3), ("d", 7)):
        clock.at(time, lambda name=name: seen.append((clock.now, name)))
    clock.run()
    assert seen == [(3, "a"), (3, "b"), (7, "c"), (7, "d")]
    assert clock.events == 4
    assert type(clock.now) is int


def test_late_runs_after_everything_else_of_its_instant() -> None:
    clock, seen = Clock(), []
    clock.at(5, lambda: seen.append("late"), late=True)
    clock.at(5, lambda: (seen.append("first"), clock.at(5, lambda: seen.append("born at the instant"))))
    clock.at(6, lambda: seen.append("next instant"))
    clock.run()
    assert seen == ["first", "born at the instant", "late", "next instant"]


def test_a_cancelled_event_neither_runs_nor_moves_time() -> None:
    clock, seen = Clock(), []
    clock.at(10, lambda: seen.append("kept"))
    clock.at(99, lambda: seen.append("cancelled")).cancel()
    clock.run()
    assert (seen, clock.now, clock.events) == (["kept"], 10, 1)


def test_a_moved_timer_fires_once_where_it_was_moved_to() -> None:
    clock, seen = Clock(), []
    timer = clock.timer(lambda: seen.append(clock.now))
    for time in (50, 20, 70, 20, 30):
        timer.set(time)
    clock.run()
    assert seen == [30]
    assert not timer.pending
    timer.set(40)
    clock.run()
    assert seen == [30, 40]


def test_moving_a_timer_for_ever_does_not_grow_the_queue() -> None:
    clock = Clock()
    kept = [clock.at(time, lambda: None) for time in range(100)]
    timer = clock.timer(lambda: None)
    for time in range(10 * COMPACT_FROM):
        timer.set(1000 + time)
    assert len(clock.queue) <= COMPACT_FROM + len(kept) + 2
    clock.run()
    assert clock.events == 101


def test_run_until_includes_that_instant_and_stands_there() -> None:
    clock, seen = Clock(), []
    for time in (1, 2, 3):
        clock.at(time, lambda time=time: seen.append(time))
    clock.run(until=2)
    assert (seen, clock.now) == ([1, 2], 2)
    clock.run(until=10)
    assert (seen, clock.now) == ([1, 2, 3], 10)


def test_time_is_skipped_only_where_nothing_else_is_due() -> None:
    clock, seen = Clock(), []

    def look() -> None:
        seen.append((clock.now, clock.skip(15), clock.now))

    clock.at(10, look, late=True)
    clock.at(20, look, late=True)  # cannot go back, and nothing else is due
    clock.at(12, lambda: None)
    clock.run(until=14)
    assert seen == [(10, False, 10)] and clock.now == 14
    clock.at(14, look, late=True)
    clock.run(until=14)
    assert seen[1:] == [(14, False, 14)]  # the run ends there
    clock.at(14, look, late=True)
    clock.run(until=16)
    assert seen[2:] == [(14, True, 15)] and clock.now == 16


def test_the_past_is_refused() -> None:
    clock = Clock()
    clock.at(5, lambda: None)
    clock.run()
    with pytest.raises(ValueError, match="before now"):
        clock.at(4, lambda: None)


def process(env: simpy.Environment, seen: list[int]) -> Iterator[simpy.Event]:
    for _ in range(3):
        yield env.timeout(10)
        seen.append(int(env.now))


@pytest.mark.parametrize("plain", [False, True])
def test_simpy_processes_share_the_time(plain: bool) -> None:
    """A SimPy process runs on the clock's environment, and SimPy's own loop runs the clock's timers."""
    clock, seen = Clock(), []
    clock.env.process(process(clock.env, seen))
    clock.at(15, lambda: seen.append(clock.now))
    clock.at(17, lambda: seen.append(-1)).cancel()
    if plain:
        clock.env.run()
    else:
        clock.run()
    assert seen == [10, 15, 20, 30]
    assert clock.env.now == 30
