"""A step that always takes the same time, whatever it computes: for tests and teaching."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.cost.price import SUBTICK_BITS, Component, StepPrice, StepShape
from hwsim.cost.tally import Totals


class ConstantPricer:
    """``step`` picoseconds on the device and ``host`` on the host for every step; no amounts of anything."""

    def __init__(self, step: int, host: int = 0) -> None:
        base = step << SUBTICK_BITS
        self._price = StepPrice(
            base, host=host << SUBTICK_BITS, components=(Component("constant", base, 0),), source="constant"
        )

    def price(self, shape: StepShape, context: int) -> StepPrice:
        """The one price there is."""
        return self._price

    def prices(self) -> Iterator[StepPrice]:
        """The price, if a step was executed."""
        if self._price.steps:
            yield self._price

    def totals(self) -> Totals:
        """Device time of all executed steps under the bound ``constant``."""
        steps = self._price.steps
        return {"time_by_bound": {"constant": self._price.base * steps} if steps else {}, "demands": {}}
