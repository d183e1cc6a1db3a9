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

    def factor_of(self, bound: str) -> float:
        """What times of that bound are multiplied by."""
        return self.factors.get(bound, self.factor)

    def made(self, own: StepPrice, shape: StepShape) -> StepPrice:
        """The inner price, longer."""
        parts = []
        for part in (*own.components, *_rest(own)):
            factor = self.factor_of(part.bound)
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


def _rest(own: StepPrice) -> tuple[Component, ...]:
    """What of a price belongs to no component (all of it where there is none)."""
    base = own.base - sum([part.base for part in own.components])
    slope = own.slope - sum([part.slope for part in own.components])
    if own.components and not base and not slope:
        return ()
    return (Component("", base, slope, (0,) * len(own.window_slopes) if own.components else own.window_slopes),)
