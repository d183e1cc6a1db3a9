"""When requests arrive."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import Count, Duration, Flag, Positive, Rate, Rates, Seconds
from hwsim.scenario.schema.record import Kind


class Drawn(Kind):
    """``grid``: times are known to a grid only (floored to it), as in traces with coarse clocks."""

    grid: Duration | None = None


class Steady(Drawn):
    """``exact_rate``: as in vLLM's benchmark, gaps are stretched so that the last of N requests comes at N / rate.
    ``stationary``: the process has been running for long (otherwise a whole gap comes first).
    """

    rate: Rate
    exact_rate: Flag = False


class Bursty(Drawn):
    """Gamma gaps: ``burstiness`` is their shape (1 Poisson, less is burstier), or ``cv`` their standard deviation over
    their mean; one of the two.
    """

    burstiness: Positive | None = None
    cv: Positive | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.burstiness is not None and self.cv is not None:
            raise PydanticCustomError("value", "has burstiness and cv; expected one of them (burstiness = cv^-2)")
        if (self.burstiness or 1) < 0.001 or (self.cv or 1) > 32:
            raise PydanticCustomError("value", "is too bursty; expected burstiness of at least 0.001, cv of at most 32")
        return self


class Poisson(Steady):
    """Independent arrivals: exponential gaps at a mean ``rate``."""

    kind: Literal["poisson"]


class Gamma(Steady, Bursty):
    """Independent gamma gaps at a mean ``rate``: ``burstiness`` as in vLLM's benchmark, or the ``cv`` of the gaps."""

    kind: Literal["gamma"]
    stationary: Flag = False


class Weibull(Steady):
    """Independent Weibull gaps at a mean ``rate``; a ``shape`` below 1 is burstier than Poisson."""

    kind: Literal["weibull"]
    shape: Positive
    stationary: Flag = False

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.shape < 0.05:
            raise PydanticCustomError("value", "shape is too small; expected a Weibull shape of at least 0.05")
        return self


class Constant(Kind):
    """Evenly spaced arrivals at ``rate``; the first at time zero."""

    kind: Literal["constant"]
    rate: Rate


class Ramp(Bursty):
    """A rate that goes ``from`` one value ``to`` another ``over`` a time, linearly or exponentially, then stays."""

    kind: Literal["ramp"]
    from_: Rate = Field(alias="from")
    to: Rate
    over: Duration
    shape: Literal["linear", "exponential"] = "linear"


class Piecewise(Bursty):
    """A rate that takes one of ``rates`` after the other, each ``every`` so long, and begins again (``repeat``)."""

    kind: Literal["piecewise"]
    rates: Rates
    every: Duration
    repeat: Flag = True


class OnOff(Bursty):
    """``busy`` and ``idle`` periods in turn at ``rate`` and ``idle_rate``; ``exponential`` ones have these means."""

    kind: Literal["on_off"]
    rate: Rate
    busy: Duration
    idle: Duration
    idle_rate: Rate | None = None
    periods: Literal["fixed", "exponential"] = "fixed"


class Closed(Kind):
    """A fixed number of clients, each sending its next request ``think`` after its last one finished."""

    kind: Literal["closed"]
    concurrency: Count
    think: Seconds = 0.0


class Trace(Kind):
    """The arrival times of the trace (what a trace does unless told otherwise)."""

    kind: Literal["trace"]


PART = (Poisson, Gamma, Weibull, Constant, Ramp, Piecewise, OnOff, Closed, Trace)
