"""Lognormal lengths, from mean and 99th percentile or from median and sigma, cut to a range."""

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
    """(mu, sigma) of the logarithm: ``mean = exp(mu + sigma^2/2)``, ``p99 = exp(mu + 2.326 sigma)``."""
    given = {name: float(parse(parameters[name], "number")) for name in NAMES if parameters.get(name) is not None}
    if {"mean", "p99"} <= given.keys():
        ratio = math.log(given["p99"] / given["mean"])
        # ratio = z sigma - sigma^2/2: the smaller root is the less skewed of the two distributions that fit
        inside = Z99 * Z99 - 2 * ratio
        if ratio <= 0 or inside < 0:
            raise ScenarioError.of(
                "no lognormal distribution has this mean and p99",
                where="workload",
                got=f"mean {given['mean']:g}, p99 {given['p99']:g}",
                expected=f"p99 between the mean and {math.exp(Z99 * Z99 / 2):.1f} times the mean",
            )
        sigma = Z99 - math.sqrt(inside)
        return math.log(given["mean"]) - sigma * sigma / 2, sigma
    if {"median", "sigma"} <= given.keys():
        return math.log(given["median"]), given["sigma"]
    raise ScenarioError.of(
        "a lognormal length needs two figures",
        where="workload",
        got=", ".join(given) or "none",
        expected="mean and p99, or median and sigma",
    )


NAMES = ("mean", "p99", "median", "sigma")


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
