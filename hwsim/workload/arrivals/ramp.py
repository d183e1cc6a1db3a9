"""A rate that rises (or falls) from one value to another and then stays there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwsim.units import parse
from hwsim.workload.process import Modulated, Streams
from hwsim.workload.rates import LATEST_S, Segment


class Ramp(Modulated):
    """From rate ``from`` to rate ``to`` over ``over``, in a line or by a constant factor a second."""

    def __init__(self, parameters: Mapping[str, Any], streams: Streams, scale: float) -> None:
        super().__init__(_segments(parameters), parameters, streams, scale)


def _segments(parameters: Mapping[str, Any]) -> Iterator[Segment]:
    first, last = (float(parse(parameters[name], "1/s")) for name in ("from", "to"))
    exponential = parameters.get("shape") == "exponential"
    yield Segment(float(parse(parameters["over"], "s")), first, last, exponential)
    yield Segment(2 * LATEST_S, last, last)


PART = Ramp
