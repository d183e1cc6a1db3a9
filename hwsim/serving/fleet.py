"""Which replicas take requests, start, run dry or have failed, and for how long each has been paid for."""

from __future__ import annotations

STOPPED, STARTING, OPEN, DRAINING, DOWN = "stopped", "starting", "open", "draining", "down"


class Fleet:
    """States of replicas by number, and the time (subticks) that each has been powered.

    A replica is powered from the moment that its start is asked for (its GPUs are held while weights load) until it
    has stopped; one that has failed stays powered, as its GPUs do.  ``open`` is the list that routers choose from.
    """

    def __init__(self, replicas: int, first: int) -> None:
        """``first`` of the replicas are open from the start."""
        self.states = [OPEN if number < first else STOPPED for number in range(replicas)]
        self.open = list(range(first))
        self.since: list[int | None] = [0 if number < first else None for number in range(replicas)]
        self.powered = [0] * replicas
        self.events: list[tuple[int, int, str]] = []  # (time, replica, what it became)

    def count(self, *states: str) -> int:
        """Replicas in any of these states."""
        return sum([state in states for state in self.states])

    def first(self, *states: str) -> int | None:
        """The lowest replica in one of these states."""
        return next((number for number, state in enumerate(self.states) if state in states), None)

    def last(self, *states: str) -> int | None:
        """The highest replica in one of these states."""
        return next((number for number in reversed(range(len(self.states))) if self.states[number] in states), None)

    def turn(self, number: int, state: str, time: int) -> None:
        """A replica is in ``state`` from ``time`` on."""
        since = self.since[number]
        if state == STOPPED and since is not None:
            self.powered[number] += time - since
            self.since[number] = None
        elif state != STOPPED and since is None:
            self.since[number] = time
        self.states[number] = state
        self.open[:] = [i for i, held in enumerate(self.states) if held == OPEN]
        self.events.append((time, number, state))

    def powered_until(self, end: int) -> list[int]:
        """Subticks that each replica has been powered by ``end``."""
        return [
            total + (max(end - since, 0) if since is not None else 0)
            for total, since in zip(self.powered, self.since, strict=True)
        ]
