"""Prices whose times are longer by a factor: a slow replica, or a part of a GPU's SMs."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.cost.derived import Derived
from hwsim.cost.price import Component, Pricer, StepPrice, StepShape


class Scaled(Derived):
    """The prices of a pricer with device times multiplied by bound, and host times; amounts of work stay the same.

    ``factors`` go with the bounds they name, ``factor`` with all others and with the host (a throttled GPU, a lame
    link, a noisy neighbour: everything by the same factor).
    """

    def __init__(
        self, inner: Pricer, factor: float, factors: Mapping[str, float] | None = None, *, host: float | None = None
    ) -> None:
        super().__init__(inner)
        self.factor = factor
        self.factors = dict(factors or {})
        self.host = factor if host is None else host

    def made(self, own: StepPrice, shape: StepShape) -> StepPrice:
        """The inner price, longer."""
        parts = []
        for part in own.components or (Component("", own.base, own.slope, own.window_slopes),):
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
