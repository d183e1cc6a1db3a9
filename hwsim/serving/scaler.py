"""Autoscaling put into effect: an autoscaler is asked at fixed times, and replicas start, stop or run dry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.fleet import DRAINING, OPEN, STARTING, STOPPED, Fleet

if TYPE_CHECKING:
    from hwsim.kernel.clock import Clock
    from hwsim.serving.acts import Acts
    from hwsim.serving.routing import Loads
    from hwsim.serving.scaling import Scaling


class Scaled(Protocol):
    """Whose replicas are scaled."""

    def watch(self, time: int) -> Loads:
        """The loads that an autoscaler may see at ``time``."""
        ...

    def waiting(self) -> int:
        """Requests that wait for any replica to take requests."""
        ...

    def going_on(self) -> bool:
        """Whether anything is left to serve."""
        ...

    def opened(self, time: int) -> None:
        """A replica takes requests from ``time`` on."""
        ...


class Scaler:
    """One fleet under one autoscaler.

    A replica that is started takes requests after its weights have come over the fabric and the start-up time has
    passed; one that is stopped takes no more and runs dry.  A surplus must last for the cool-down before any stops.
    """

    def __init__(
        self,
        scaling: Scaling,
        fleet: Fleet,
        loads: Loads,
        scaled: Scaled,
        acts: Acts,
        clock: Clock,
        arm: Callable[[], object],
    ) -> None:
        """``arm()`` is called when an act was planned from outside of the loop that does them."""
        self.scaling = scaling
        self.fleet = fleet
        self.loads = loads
        self.scaled = scaled
        self.acts = acts
        self.clock = clock
        self.arm = arm
        self.surplus_since = -1  # since when fewer replicas would do
        acts.plan(scaling.every, self._ask)

    def _ask(self, time: int) -> None:
        """Ask the policy, and start or stop replicas; go on while anything is left to serve."""
        scaling, fleet, scaled = self.scaling, self.fleet, self.scaled
        view = scaled.watch(time)
        self._stop_idle(time)
        if not scaled.going_on():
            return
        coming = fleet.count(STARTING)
        wanted = scaling.policy.desired(view, scaled.waiting(), coming)
        wanted = max(scaling.least, min(scaling.most, wanted))
        have = len(fleet.open) + coming
        if wanted > have:
            self._start_more(wanted - have, time)
        if wanted >= have:
            self.surplus_since = -1
        elif self.surplus_since < 0:
            self.surplus_since = time
        if self.surplus_since >= 0 and time - self.surplus_since >= scaling.cool_down:
            self._drain(have - wanted, time)
            self.surplus_since = -1
        self.acts.plan(time + scaling.every, self._ask)

    def _start_more(self, count: int, time: int) -> None:
        """Replicas that are running dry come back at once; others start."""
        fleet = self.fleet
        for _ in range(count):
            number = fleet.first(DRAINING)
            if number is not None:
                fleet.turn(number, OPEN, time)
                continue
            number = fleet.first(STOPPED)
            if number is None:
                return
            fleet.turn(number, STARTING, time)
            self._load(number)

    def _load(self, number: int) -> None:
        scaling, acts = self.scaling, self.acts
        now = self.clock.now << SUBTICK_BITS

        def loaded() -> None:
            then = self.clock.now << SUBTICK_BITS
            acts.plan(then + scaling.start_up, lambda time: self._opened(number, time))
            self.arm()

        if scaling.load_weights is None:
            acts.plan(now + scaling.start_up, lambda time: self._opened(number, time))
        else:
            scaling.load_weights(number, loaded)

    def _opened(self, number: int, time: int) -> None:
        self.fleet.turn(number, OPEN, time)
        self.scaled.opened(time)

    def _drain(self, count: int, time: int) -> None:
        for _ in range(count):
            number = self.fleet.last(OPEN)
            if number is None or len(self.fleet.open) <= 1:
                return
            self.fleet.turn(number, DRAINING, time)
        self._stop_idle(time)

    def _stop_idle(self, time: int) -> None:
        for number, state in enumerate(self.fleet.states):
            if state == DRAINING and not self.loads.requests[number]:
                self.fleet.turn(number, STOPPED, time)
