"""The price contract between serving and cost: a step's time as an affine law of the summed context.

Serving asks ``Pricer.price(shape, context)`` and never learns whether the answer came from a closed form, a task
graph run once and cached by shape, or a measured table.  The law is affine in the summed context of the decode rows,
which grows by one token per row and step, so a stretch of decode steps sums in closed form.  A law that is not
affine returns pieces: a price holds for contexts in ``[low, limit]`` and the piece is the law in single steps too.

Times are integers in *subticks* (1/1024 ps): coefficients are rounded once, here, and every sum after that is exact.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

SUBTICK_BITS = 10
SUBTICKS_PER_SECOND = 10**12 << SUBTICK_BITS


def subticks(seconds: float) -> int:
    """Round a duration in seconds to whole subticks (1/1024 ps)."""
    return round(seconds * SUBTICKS_PER_SECOND)


class StepShape(NamedTuple):
    """What one engine step computes, as aggregates an engine keeps in O(1).

    ``rows``: decode rows (one new token each).  ``chunks``: prefill chunks as ``(new, past)`` token counts.
    ``heads``: rows whose next token is sampled (decode rows plus prefills that end in this step).
    """

    rows: int
    chunks: tuple[tuple[int, int], ...] = ()
    heads: int = 0


class Component(NamedTuple):
    """The part of a step's device time that one resource bounds: ``base + slope * context`` subticks.

    ``window_slopes`` go with the sums of contexts under each sliding window, as in :class:`StepPrice`.
    """

    bound: str
    base: int
    slope: int
    window_slopes: tuple[int, ...] = ()


class Demand(NamedTuple):
    """What a step takes from one named capacity: ``base + slope * context`` units (FLOP, bytes)."""

    capacity: str
    base: float
    slope: float
    window_slopes: tuple[float, ...] = ()


class StepPrice:
    """Time and amounts of one step, affine in the summed context of its decode rows.

    ``device`` time is ``base + slope * context`` subticks for ``low <= context <= limit``; ``host`` is the engine's
    own time per step (subticks), serial with the device or hidden behind it as the engine schedules.  ``context`` is
    the number of tokens the decode rows attend to, the new token included.  ``components`` add up to the device
    time; ``demands`` are totals per capacity of one replica.  ``source`` names where the numbers come from.
    ``steps`` and ``contexts`` are the tally of what was executed at this price (kept here so that counting costs
    two additions a stretch): steps executed, and the sum of their contexts.

    A model with sliding windows adds ``sum(window_slopes[j] * windowed[j])`` to the device time, where ``windowed[j]``
    is the sum over decode rows of ``min(context, windows[j])``; ``windowed`` here is its tally.
    """

    __slots__ = (
        "base",
        "bound_high",
        "bound_low",
        "bounded",
        "components",
        "contexts",
        "demands",
        "host",
        "limit",
        "low",
        "slope",
        "source",
        "steps",
        "window_slopes",
        "windowed",
    )

    stages: tuple[StepPrice, ...] = ()  # of a pipeline, in order: the price is then that of the slowest

    def __init__(
        self,
        base: int,
        slope: int = 0,
        *,
        host: int = 0,
        low: int = 0,
        limit: int = 1 << 62,
        components: tuple[Component, ...] = (),
        demands: tuple[Demand, ...] = (),
        source: str = "",
        window_slopes: tuple[int, ...] = (),
    ) -> None:
        self.window_slopes = window_slopes
        self.windowed = [0] * len(window_slopes)
        self.base = base
        self.slope = slope
        self.host = host
        self.low = low
        self.limit = limit
        self.components = components
        self.demands = demands
        self.source = source
        self.steps = 0
        self.contexts = 0
        self.bounded = ""  # the resource that bounds it at contexts from ``bound_low`` to ``bound_high``
        self.bound_low, self.bound_high = 1, 0

    def device(self, context: int, windowed: tuple[int, ...] = ()) -> int:
        """Device time of one step at this summed context (and sums under windows), in subticks."""
        time = self.base + self.slope * context
        for slope, seen in zip(self.window_slopes, windowed, strict=False):
            time += slope * seen
        return time

    def bound(self, context: int, windowed: tuple[int, ...] = ()) -> str:
        """The resource that bounds most of the step at this context ("" when the price does not say)."""
        if not self.bound_low <= context <= self.bound_high:
            self.find_bound(context)
        return self.bounded

    def find_bound(self, context: int) -> None:
        """Name the largest component at ``context`` and the range of contexts in which it stays the largest."""
        low, high = 0, 1 << 62
        parts = self.components or (Component("", 0, 0),)
        place, best = max(enumerate(parts), key=lambda each: each[1].base + each[1].slope * context)
        for i, part in enumerate(parts):  # of equal ones the first
            lead, rise = best.base - part.base - (i < place), best.slope - part.slope
            if rise > 0:
                low = max(low, -(lead // rise))
            elif rise < 0:
                high = min(high, lead // -rise)
        self.bounded = best.bound
        self.bound_low, self.bound_high = low, high


class Pricer(Protocol):
    """Anything that can say what an engine step costs.

    A pricer may have ``windows: tuple[int, ...]``, the sliding windows of its model that can bind; an engine that
    keeps the sums of contexts under them passes those as ``windowed``, and the price has ``window_slopes``.
    """

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = (), /) -> StepPrice:
        """The affine piece of the cost law for ``shape`` that holds at the summed context ``context``."""
        ...
