"""Busy and idle periods in turn, of fixed or of exponential length (a Markov-modulated Poisson process)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, cycle
from typing import Any

from hwsim.kernel.random import Stream
from hwsim.units import parse
from hwsim.workload.process import Modulated, Streams
from hwsim.workload.rates import Segment


class OnOff(Modulated):
    """``rate`` for ``busy``, then ``idle_rate`` for ``idle``, busy first; lengths are means if ``exponential``."""

    def __init__(self, parameters: Mapping[str, Any], streams: Streams, scale: float) -> None:
        super().__init__(_segments(parameters, streams("periods")), parameters, streams, scale)


def _segments(parameters: Mapping[str, Any], lengths: Stream) -> Iterator[Segment]:
    busy, idle = (float(parse(parameters[name], "s")) for name in ("busy", "idle"))
    rate, low = float(parse(parameters["rate"], "1/s")), float(parse(parameters.get("idle_rate") or "0 /s", "1/s"))
    if parameters.get("periods") != "exponential":
        yield from cycle([Segment(busy, rate, rate), Segment(idle, low, low)])
    for i in count():
        one, two = lengths.exponential(2, 2 * i).tolist()
        yield Segment(busy * one, rate, rate)
        yield Segment(idle * two, low, low)


PART = OnOff
