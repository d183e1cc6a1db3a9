"""A run that stopped with tasks left: who waits for which memory, who holds it, how little would have been enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hwsim.errors import FitError, Problem
from hwsim.units import format_quantity, seconds

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.store import Store
    from hwsim.taskgraph.task import Task

SHOWN = 6  # holders and waiting tasks that are named

# Runs the same program with one store of another capacity (None: unlimited) and returns the executor afterwards.
Again = Callable[[str, "int | None"], "Executor"]


def check_finished(executor: Executor, again: Again | None = None) -> None:
    """``FitError`` if tasks wait for memory for ever; with ``again`` it also says which capacity would do."""
    if not executor.blocked:
        return
    problems: list[Problem] = []
    for store in executor.stores.values():
        waiting = [task for task in executor.blocked if any(claim[0] is store for claim in task.takes)]
        lacking = [task for task in waiting if store.pool.used + _asked(task, store) > store.pool.capacity]
        if not lacking:
            continue
        first = lacking[0]
        least = f"at least {_size(store, smallest(again, store.name, executor))}" if again is not None else ""
        who = ", ".join(f"{task.name} on {task.stream.name}" for task in waiting[:SHOWN])
        more = f" and {len(waiting) - SHOWN} more" if len(waiting) > SHOWN else ""
        problems.append(
            Problem(
                f"the graph cannot go on: {who}{more} wait for ever for memory {store.name}",
                where=f"at {seconds(executor.clock.now):.6g} s",
                got=f"{first.name} asks for {_size(store, _asked(first, store))} of "
                f"{_size(store, store.pool.capacity)}; held: {_holders(store)}",
                expected=least,
            )
        )
    raise FitError(problems)


def smallest(again: Again, name: str, failed: Executor) -> int:
    """The smallest capacity of a store with which the program ends, the other stores as they are."""
    low = failed.stores[name].pool.capacity
    high = max(again(name, None).stores[name].pool.peak, low + 1)
    coarse = 0 if failed.ended < 100_000 else high // 1000
    while high - low > 1 + coarse:
        middle = (low + high) // 2
        if again(name, middle).blocked:
            low = middle
        else:
            high = middle
    return high


def _asked(task: Task, store: Store) -> int:
    return sum([size for claimed, _, size in task.takes if claimed is store])


def _size(store: Store, size: int) -> str:
    return format_quantity(size, "bytes") if store.unit == "bytes" else f"{size} places"


def _holders(store: Store) -> str:
    owners = sorted(store.pool.owners.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{owner} {_size(store, size)}" for owner, size in owners[:SHOWN])
    return (shown + (f" and {len(owners) - SHOWN} more" if len(owners) > SHOWN else "")) or "nothing"
