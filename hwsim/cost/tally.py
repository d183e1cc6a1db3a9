"""What was executed, summed over prices: device time by bound and amounts by capacity, exact to the subtick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class Totals(TypedDict):
    """Device subticks by bound and units (FLOP, bytes) by capacity."""

    time_by_bound: dict[str, int]
    demands: dict[str, float]


class Tally:
    """Running totals of prices that are kept no longer; what is still kept is added when asked for."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._demands: dict[str, float] = {}

    def add(self, times: Mapping[str, int], demands: Mapping[str, float]) -> None:
        """Take over the sums of prices that leave."""
        for bound, time in times.items():
            self._times[bound] = self._times.get(bound, 0) + time
        for capacity, amount in demands.items():
            self._demands[capacity] = self._demands.get(capacity, 0.0) + amount

    def totals(self, times: Mapping[str, int], demands: Mapping[str, float]) -> Totals:
        """The totals with those of prices that are still kept."""
        whole = Tally()
        whole.add(self._times, self._demands)
        whole.add(times, demands)
        return {"time_by_bound": whole._times, "demands": whole._demands}
