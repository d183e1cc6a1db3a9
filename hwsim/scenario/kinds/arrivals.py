"""When requests arrive."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Rate, Seconds
from hwsim.scenario.schema.record import Kind


class Poisson(Kind):
    """Independent arrivals: exponential gaps at a mean ``rate``."""

    kind: Literal["poisson"]
    rate: Rate


class Constant(Kind):
    """Evenly spaced arrivals at ``rate``; the first at time zero."""

    kind: Literal["constant"]
    rate: Rate


class Closed(Kind):
    """A fixed number of clients, each sending its next request ``think`` after its last one finished."""

    kind: Literal["closed"]
    concurrency: Count
    think: Seconds = 0.0


class Trace(Kind):
    """The arrival times of the trace (what a trace does unless told otherwise)."""

    kind: Literal["trace"]


PART = (Poisson, Constant, Closed, Trace)
