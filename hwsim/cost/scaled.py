"""Prices whose times are longer by a factor: a slow replica, or a part of a GPU's SMs."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.cost.price import Component, Pricer, StepPrice, StepShape
from hwsim.cost.tally import Totals


class Scaled:
    """The prices of a pricer with device times multiplied by bound, and host times; amounts of work stay the same.

    ``factors`` go with the bounds they name, ``factor`` with all others and with the host (a throttled GPU, a lame
    link, a noisy neighbour: everything by the same factor).
    """

    def __init__(
        self, inner: Pricer, factor: float, factors: Mapping[str, float] | None = None, *, host: float | None = None
    ) -> None:
        self.inner = inner
        self.factor = factor
        self.factors = dict(factors or {})
        self.host = factor if host is None else host
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
        parts = []
        for part in own.components:
            factor = self.factors.get(part.bound, self.factor)
            slopes = tuple([round(slope * factor) for slope in part.window_slopes])
            parts.append(Component(part.bound, round(part.base * factor), round(part.slope * factor), slopes))
        windows = range(len(own.window_slopes))
        return StepPrice(
            sum([part.base for part in parts]),
            sum([part.slope for part in parts]),
            host=round(own.host * self.host),
            low=own.low,
            limit=own.limit,
            components=tuple(parts),
            demands=own.demands,
            source=own.source,
            window_slopes=tuple([sum([part.window_slopes[j] for part in parts]) for j in windows]),
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
