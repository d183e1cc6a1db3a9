"""Lognormal lengths from two of mean, median, 99th percentile and sigma, cut to a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.units import parse

Z99 = NormalDist().inv_cdf(0.99)


def shape(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """(mu, sigma) of the logarithm, from any two of the figures.

    ``mean = exp(mu + sigma^2/2)``, ``median = exp(mu)``, ``p99 = exp(mu + 2.326 sigma)``.
    """
    given = {name: float(parse(parameters[name], "number")) for name in NAMES if parameters.get(name) is not None}
    if len(given) != 2:
        raise ScenarioError.of(
            "a lognormal length needs two figures",
            where="workload",
            got=", ".join(given) or "none",
            expected="two of mean, median, p99 and sigma",
        )
    mean, median, p99, sigma = (given.get(name) for name in NAMES)
    if mean is not None:
        if p99 is not None:
            sigma = _sigma(mean, p99)
        elif median is not None:
            _ordered(given, "median", "mean")
            sigma = math.sqrt(2 * math.log(mean / median))
        assert sigma is not None
        return math.log(mean) - sigma * sigma / 2, sigma
    if sigma is None:
        assert median is not None and p99 is not None
        _ordered(given, "median", "p99")
        return math.log(median), math.log(p99 / median) / Z99
    return (math.log(median) if median is not None else math.log(p99 or 1.0) - Z99 * sigma), sigma


def _sigma(mean: float, p99: float) -> float:
    """``ln(p99 / mean) = z sigma - sigma^2/2``: the smaller root is the less skewed of the two that fit."""
    ratio = math.log(p99 / mean)
    inside = Z99 * Z99 - 2 * ratio
    if ratio <= 0 or inside < 0:
        raise ScenarioError.of(
            "no lognormal distribution has this mean and p99",
            where="workload",
            got=f"mean {mean:g}, p99 {p99:g}",
            expected=f"p99 between the mean and {math.exp(Z99 * Z99 / 2):.1f} times the mean",
        )
    return Z99 - math.sqrt(inside)


def _ordered(given: Mapping[str, float], low: str, high: str) -> None:
    if given[low] >= given[high]:
        got = f"{low} {given[low]:g}, {high} {given[high]:g}"
        raise ScenarioError.of(
            f"no lognormal distribution has this {low} and {high}",
            where="workload",
            got=got,
            expected=f"{low} below {high}",
        )


NAMES = ("mean", "median", "p99", "sigma")


def draw(parameters: Mapping[str, Any], stream: Stream, count: int, start: int, folder: Path) -> np.ndarray:
    """Rounded to whole tokens, at least ``min`` (1) and at most ``max``."""
    mu, sigma = shape(parameters)
    exp = math.exp
    values = np.array([exp(mu + sigma * z) for z in stream.normal(count, start).tolist()])
    low = int(parse(parameters.get("min") or 1, "tokens"))
    high = parameters.get("max")
    out = np.maximum(np.rint(values).astype(np.int64), low)
    return out if high is None else np.minimum(out, int(parse(high, "tokens")))


PART = draw
