"""A step's price from the roofline laws, kept as a few integers; components and demands are listed when asked for."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.cost.price import Component, Demand, StepPrice


class RooflinePrice(StepPrice):
    """A :class:`StepPrice` whose components and demands are built when asked for: most are used for one step.

    ``times`` (their sum is ``base``) are the subticks bound by HBM, tensor cores, NVLink and launches; only HBM time
    grows with the context, unless the host's pace hides it (then launch time shrinks as it grows).  ``amounts`` are
    FLOP, HBM bytes and link bytes of all ranks, then FLOP and HBM bytes per token of context.
    """

    __slots__ = ("amounts", "hidden", "rise", "times")

    def __init__(
        self,
        times: tuple[int, int, int, int],
        rise: int,
        base: int,
        host: int,
        amounts: tuple[float, float, float, float, float],
        source: str,
        hidden: bool = False,
        low: int = 0,
        limit: int = 1 << 62,
    ) -> None:
        self.times = times
        self.rise = rise
        self.hidden = hidden
        self.amounts = amounts
        self.base = base
        self.slope = 0 if hidden else rise
        self.host = host
        self.low = low
        self.limit = limit
        self.source = source
        self.steps = 0
        self.contexts = 0

    @property
    def components(self) -> tuple[Component, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Device time by bound; the sum is the device time exactly."""
        hbm, tensor, nvlink, launch = self.times
        return (
            Component("hbm", hbm, self.rise),
            Component("tensor", tensor, 0),
            Component("nvlink", nvlink, 0),
            Component("launch", launch, -self.rise if self.hidden else 0),
        )

    @property
    def demands(self) -> tuple[Demand, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """FLOP and bytes of the replica, all ranks together."""
        flop, size, link, flop_rise, size_rise = self.amounts
        return (
            Demand("gpu.tensor", flop, flop_rise),
            Demand("gpu.hbm", size, size_rise),
            Demand("gpu.nvlink", link, 0.0),
        )

    def bound(self, context: int) -> str:
        """The resource that bounds most of the step at this context."""
        hbm, tensor, nvlink, launch = self.times
        grown = self.rise * context
        hbm += grown
        if self.hidden:
            launch -= grown
        if hbm >= tensor:
            best, name = hbm, "hbm"
        else:
            best, name = tensor, "tensor"
        if nvlink > best:
            best, name = nvlink, "nvlink"
        return "launch" if launch > best else name


def summed(prices: Iterable[RooflinePrice]) -> tuple[dict[str, int], dict[str, float]]:
    """Device subticks by bound and amounts by capacity of all steps that the prices counted."""
    hbm = tensor = nvlink = launch = 0
    flop = size = link = 0.0
    for price in prices:
        steps, contexts = price.steps, price.contexts
        if not steps:
            continue
        times, amounts = price.times, price.amounts
        grown = price.rise * contexts
        hbm += times[0] * steps + grown
        tensor += times[1] * steps
        nvlink += times[2] * steps
        launch += times[3] * steps - (grown if price.hidden else 0)
        flop += amounts[0] * steps + amounts[3] * contexts
        size += amounts[1] * steps + amounts[4] * contexts
        link += amounts[2] * steps
    return (
        {"hbm": hbm, "tensor": tensor, "nvlink": nvlink, "launch": launch},
        {"gpu.tensor": flop, "gpu.hbm": size, "gpu.nvlink": link},
    )
