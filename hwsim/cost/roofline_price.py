"""A step's price from the roofline laws, kept as a few integers; components and demands are listed when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.cost.price import Component, Demand, StepPrice


class Slope(NamedTuple):
    """What one token of context adds: subticks bound by HBM and by tensor cores, FLOP and HBM bytes of all ranks."""

    hbm: int = 0
    tensor: int = 0
    flop: float = 0.0
    size: float = 0.0

    def plus(self, other: Slope) -> Slope:
        """Both together."""
        return Slope(self.hbm + other.hbm, self.tensor + other.tensor, self.flop + other.flop, self.size + other.size)


FLAT = Slope()


class RooflinePrice(StepPrice):
    """A :class:`StepPrice` whose components and demands are built when asked for: most are used for one step.

    ``times`` (their sum is ``base``) are the subticks bound by HBM, tensor cores, NVLink and launches; HBM and tensor
    time grow with the context (``rise``) and with the sums under windows (``rises``), unless the host's pace hides
    that (then launch time shrinks as they grow).  ``amounts`` are FLOP, HBM bytes and link bytes of all ranks.
    """

    __slots__ = ("amounts", "hidden", "rise", "rises", "times")

    def __init__(
        self,
        times: tuple[int, int, int, int],
        rise: Slope,
        rises: tuple[Slope, ...],
        base: int,
        host: int,
        amounts: tuple[float, float, float],
        source: str,
        hidden: bool = False,
        low: int = 0,
        limit: int = 1 << 62,
    ) -> None:
        self.times = times
        self.rise = rise
        self.rises = rises
        self.hidden = hidden
        self.amounts = amounts
        self.base = base
        self.slope = 0 if hidden else rise.hbm + rise.tensor
        self.host = host
        self.low = low
        self.limit = limit
        self.source = source
        self.steps = 0
        self.contexts = 0
        self.bound_low, self.bound_high = 1, 0
        if rises:
            self.window_slopes = tuple([0 if hidden else each.hbm + each.tensor for each in rises])
            self.windowed = [0] * len(rises)
        else:
            self.window_slopes = ()
            self.windowed = NOTHING

    @property
    def components(self) -> tuple[Component, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Device time by bound; the sum is the device time exactly."""
        hbm, tensor, nvlink, launch = self.times
        none = (0,) * len(self.rises)
        lost, losses = 0, none
        if self.hidden:
            lost = -self.rise.hbm - self.rise.tensor
            losses = tuple(-each.hbm - each.tensor for each in self.rises)
        return (
            Component("hbm", hbm, self.rise.hbm, tuple(each.hbm for each in self.rises)),
            Component("tensor", tensor, self.rise.tensor, tuple(each.tensor for each in self.rises)),
            Component("nvlink", nvlink, 0, none),
            Component("launch", launch, lost, losses),
        )

    @property
    def demands(self) -> tuple[Demand, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """FLOP and bytes of the replica, all ranks together."""
        flop, size, link = self.amounts
        return (
            Demand("gpu.tensor", flop, self.rise.flop, tuple(each.flop for each in self.rises)),
            Demand("gpu.hbm", size, self.rise.size, tuple(each.size for each in self.rises)),
            Demand("gpu.nvlink", link, 0.0, (0.0,) * len(self.rises)),
        )

    def bound(self, context: int, windowed: tuple[int, ...] = ()) -> str:
        """The resource that bounds most of the step at this context."""
        hbm, tensor, nvlink, launch = self.times
        rise = self.rise
        more, work = rise.hbm * context, rise.tensor * context
        if windowed:
            for each, seen in zip(self.rises, windowed, strict=False):
                more += each.hbm * seen
                work += each.tensor * seen
        hbm += more
        tensor += work
        if self.hidden:
            launch -= more + work
        if hbm >= tensor:
            best, name = hbm, "hbm"
        else:
            best, name = tensor, "tensor"
        if nvlink > best:
            best, name = nvlink, "nvlink"
        return "launch" if launch > best else name

    def find_bound(self, context: int) -> None:
        """The range in which the bound stays: where only HBM time grows, it binds from one context on."""
        rise = self.rise
        if self.hidden or self.rises or rise.tensor:
            super().find_bound(context)
            return
        hbm, tensor, nvlink, launch = self.times
        name, most = ("nvlink", nvlink) if nvlink > tensor else ("tensor", tensor)
        if launch > most:
            name, most = "launch", launch
        self.bound_low, self.bound_high = 0, 1 << 62
        if not rise.hbm:
            self.bounded = "hbm" if hbm >= most else name
            return
        from_there = -((hbm - most) // rise.hbm)
        if context >= from_there:
            self.bounded, self.bound_low = "hbm", from_there
        else:
            self.bounded, self.bound_high = name, from_there - 1


class OncePrice(RooflinePrice):
    """A piece that holds from the moment it was asked for, while contexts only grow: not to be used for another."""

    __slots__ = ()


NOTHING: list[int] = []


def summed(prices: Iterable[RooflinePrice]) -> tuple[dict[str, int], dict[str, float]]:
    """Device subticks by bound and amounts by capacity of all steps that the prices counted."""
    hbm = tensor = nvlink = launch = 0
    flop = size = link = 0.0
    for price in prices:
        steps = price.steps
        if not steps:
            continue
        times, amounts = price.times, price.amounts
        memory, compute = times[0] * steps, times[1] * steps
        flop += amounts[0] * steps
        size += amounts[1] * steps
        link += amounts[2] * steps
        late = 0
        for rise, seen in ((price.rise, price.contexts), *zip(price.rises, price.windowed, strict=True)):
            memory += rise.hbm * seen
            compute += rise.tensor * seen
            flop += rise.flop * seen
            size += rise.size * seen
            late += (rise.hbm + rise.tensor) * seen
        hbm += memory
        tensor += compute
        nvlink += times[2] * steps
        launch += times[3] * steps - (late if price.hidden else 0)
    return (
        {"hbm": hbm, "tensor": tensor, "nvlink": nvlink, "launch": launch},
        {"gpu.tensor": flop, "gpu.hbm": size, "gpu.nvlink": link},
    )
