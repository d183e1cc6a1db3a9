"""One of the two pools of a hand-over under control: who takes requests, who waits for that, and who scales it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hwsim.serving.fleet import STARTING, STOPPED, Fleet
from hwsim.serving.scaler import Scaler

if TYPE_CHECKING:
    from hwsim.serving.controlled_pools import ControlledPools
    from hwsim.serving.outlook import EngineOutlook
    from hwsim.serving.routing import Loads
    from hwsim.serving.scaling import Scaling


class PoolSide:
    """The fleet of one side, with what is parked until a replica there takes requests.

    Requests are parked at prefill, flights (prompts whose decode engine is to be found) at decode.
    """

    def __init__(
        self, pools: ControlledPools, side: int, first: int, count: int, scaling: Scaling | None, outlook: EngineOutlook
    ) -> None:
        self.pools = pools
        self.side = side
        self.first = first  # of its engines
        self.numbers = range(first, first + count)
        self.fleet = Fleet(count, scaling.least if scaling is not None else count)
        self.hopes = 0  # replicas that are going to recover
        self.parked: deque[Any] = deque()
        self.scaling = scaling
        self.sees = "nothing"  # what its autoscaler looks at
        loads = pools.loads[side]
        loads.open = self.fleet.open
        if scaling is not None:
            self.sees = scaling.policy.sees
            loads.outlook = outlook
            Scaler(scaling, self.fleet, loads, self, pools.acts, pools.clock, pools.arm)

    def may_open(self) -> bool:
        """Whether any replica can take requests again."""
        fleet = self.fleet
        scales = self.scaling is not None and fleet.count(STOPPED)
        return bool(self.hopes or fleet.count(STARTING) or scales)

    # -- what an autoscaler is told --------------------------------------------------------------------------------

    def watch(self, time: int) -> Loads:
        """The loads of this side at ``time``."""
        pools = self.pools
        for number in range(len(pools.engines)):
            pools.catch_up(number, time)
        loads = pools.loads[self.side]
        if self.sees == "engines":
            loads.look([pools.engines[number] for number in self.numbers])
        return loads

    def waiting(self) -> int:
        """What is parked here."""
        return len(self.parked)

    def going_on(self) -> bool:
        """Whether anything is left to serve."""
        return self.pools.going_on()

    def opened(self, time: int) -> None:
        """A replica takes requests again: what was parked is looked at."""
        parked, self.parked = list(self.parked), deque()
        for item in parked:
            self.pools.resume(self.side, item, time)
