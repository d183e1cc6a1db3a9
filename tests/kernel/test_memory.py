"""Memory is exact to the byte, remembers its worst moment, and refuses by name."""

from __future__ import annotations

import pytest

from hwsim.errors import FitError
from hwsim.kernel.clock import Clock
from hwsim.kernel.memory import MemoryPool


def test_the_peak_remembers_when_and_who() -> None:
    clock = Clock()
    pool = MemoryPool("gpu0", 100, clock)
    pool.hold("weights", 40)
    clock.at(7, lambda: pool.hold("kv", 50))
    clock.at(9, lambda: pool.release("kv", 30))
    clock.at(11, lambda: pool.hold("activations", 30))
    clock.run()
    assert (pool.used, pool.free, pool.peak, pool.peak_time) == (90, 10, 90, 7)
    assert pool.owners_at_peak == {"weights": 40, "kv": 50}
    assert pool.owners == {"weights": 40, "kv": 20, "activations": 30}
    pool.release("kv")
    assert pool.owners == {"weights": 40, "activations": 30}
    assert pool.owners_at_peak == {"weights": 40, "kv": 50}


def test_the_peak_may_be_now() -> None:
    pool = MemoryPool("gpu0", 100, Clock())
    pool.hold("a", 10)
    pool.hold("b", 20)
    assert (pool.peak, pool.owners_at_peak) == (30, {"a": 10, "b": 20})


def test_over_capacity_names_the_owners_and_changes_nothing() -> None:
    pool = MemoryPool("gpu0", 100, Clock())
    pool.hold("weights", 80)
    with pytest.raises(FitError, match=r"gpu0.*kv asks for 21.*held: weights 80"):
        pool.hold("kv", 21)
    assert (pool.used, pool.owners, pool.peak) == (80, {"weights": 80}, 80)
    pool.hold("kv", 20)
    assert pool.free == 0


def test_releasing_more_than_held_names_the_owner() -> None:
    pool = MemoryPool("gpu0", 100, Clock())
    pool.hold("weights", 80)
    with pytest.raises(ValueError, match="weights releases 81 bytes but holds 80"):
        pool.release("weights", 81)
    with pytest.raises(ValueError, match="did you mean weights"):
        pool.release("weight", 1)
    assert pool.used == 80


@pytest.mark.parametrize("call", ["hold", "release"])
def test_negative_sizes_are_refused(call: str) -> None:
    pool = MemoryPool("gpu0", 100, Clock())
    with pytest.raises(ValueError, match="-1"):
        getattr(pool, call)("a", -1)
    with pytest.raises(ValueError, match="negative"):
        MemoryPool("gpu0", -1, Clock())
