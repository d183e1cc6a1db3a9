"""A rate that changes in steps, such as the hours of a day; the steps repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, cycle
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.units import parse
from hwsim.workload.process import Modulated, Streams, truth
from hwsim.workload.rates import LATEST_S, Segment


class Piecewise(Modulated):
    """One of ``rates`` after the other, each for ``every``; with ``repeat: false`` the last one stays."""

    def __init__(self, parameters: Mapping[str, Any], streams: Streams, scale: float) -> None:
        super().__init__(_segments(parameters), parameters, streams, scale)


def _segments(parameters: Mapping[str, Any]) -> Iterator[Segment]:
    every = float(parse(parameters["every"], "s"))
    rates = [float(parse(rate, "1/s")) for rate in parameters["rates"]]
    steps = [Segment(every, rate, rate) for rate in rates]
    again = truth(parameters.get("repeat", True))
    if not any(rates) or not (again or rates[-1]):
        raise ScenarioError.of("nothing arrives any more", where="workload.arrivals.rates", expected="a rate above 0")
    return cycle(steps) if again else chain(steps, [Segment(2 * LATEST_S, rates[-1], rates[-1])])


PART = Piecewise
