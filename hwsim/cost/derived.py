"""Prices made from those of another pricer: each is made once, and what is executed at them is summed here."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from hwsim.cost.price import Pricer, StepPrice, StepShape
from hwsim.cost.staged import Staged
from hwsim.cost.tally import Totals


class Derived:
    """A pricer over ``inner``; a subclass says what becomes of a price (``made``) and on what else that depends."""

    def __init__(self, inner: Pricer) -> None:
        self.inner = inner
        self.windows: tuple[int, ...] = getattr(inner, "windows", ())
        self._prices: dict[Hashable, tuple[StepPrice, StepPrice]] = {}  # by identity, which the kept original preserves

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def made(self, own: StepPrice, shape: StepShape) -> StepPrice:
        """The price that is made of ``own``."""
        raise NotImplementedError

    def depends(self, shape: StepShape) -> Hashable:
        """What of the shape a price depends on beside the inner price."""
        return None

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        """The inner price, changed."""
        own = self.inner.price(shape, context, windowed) if self.windows else self.inner.price(shape, context)
        key = (id(own), self.depends(shape))
        found = self._prices.get(key)
        if found is None:
            price = self.made(own, shape)
            if own.stages:
                price = Staged(price, tuple([self.made(stage, shape) for stage in own.stages]))
            found = self._prices[key] = (own, price)
        return found[1]

    def totals(self) -> Totals:
        """Device subticks by bound and amounts by capacity of all that was executed at these prices."""
        times: dict[str, int] = {}
        demands: dict[str, float] = {}
        for _, price in self._prices.values():
            if not price.steps:
                continue
            for part in price.components:
                windowed = sum([a * b for a, b in zip(part.window_slopes, price.windowed, strict=False)])
                time = part.base * price.steps + part.slope * price.contexts + windowed
                times[part.bound] = times.get(part.bound, 0) + time
            for need in price.demands:
                windowed = sum([a * b for a, b in zip(need.window_slopes, price.windowed, strict=False)])
                amount = need.base * price.steps + need.slope * price.contexts + windowed
                demands[need.capacity] = demands.get(need.capacity, 0.0) + amount
        return {"time_by_bound": times, "demands": demands}
