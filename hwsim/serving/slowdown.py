"""A replica that is slow: every step takes a factor longer (a throttled GPU, a lame link, a noisy neighbour)."""

from __future__ import annotations

from hwsim.cost.price import Component, Pricer, StepPrice, StepShape
from hwsim.cost.tally import Totals


class Slowed:
    """The prices of a pricer with device and host times multiplied; amounts of work stay the same.

    Simplification: whatever bounds a step is slower by the same factor.
    """

    def __init__(self, inner: Pricer, factor: float) -> None:
        self.inner = inner
        self.factor = factor
        self.windows: tuple[int, ...] = getattr(inner, "windows", ())
        self._prices: dict[int, tuple[StepPrice, StepPrice]] = {}  # by identity, which the kept original preserves

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        """The inner price, longer."""
        own = self.inner.price(shape, context, windowed) if self.windows else self.inner.price(shape, context)
        found = self._prices.get(id(own))
        if found is None:
            found = self._prices[id(own)] = (own, self._longer(own))
        return found[1]

    def _longer(self, own: StepPrice) -> StepPrice:
        factor = self.factor
        return StepPrice(
            round(own.base * factor),
            round(own.slope * factor),
            host=round(own.host * factor),
            low=own.low,
            limit=own.limit,
            components=tuple(
                [
                    Component(
                        part.bound,
                        round(part.base * factor),
                        round(part.slope * factor),
                        tuple([round(slope * factor) for slope in part.window_slopes]),
                    )
                    for part in own.components
                ]
            ),
            demands=own.demands,
            source=own.source,
            window_slopes=tuple([round(slope * factor) for slope in own.window_slopes]),
        )

    def totals(self) -> Totals:
        """Device subticks by bound and amounts by capacity of all that was executed while slow."""
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
