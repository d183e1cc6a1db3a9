"""Positive random numbers of mean 1 by position: gamma and Weibull, exact and free of what was drawn before."""

from __future__ import annotations

import math

import numpy as np

from hwsim.kernel.random import Stream

LANE = 1 << 40  # attempts and helpers of one element lie this far apart in the stream
MOST_ATTEMPTS = 200
FIRST = 1 << 60  # beyond all lanes


def gamma(stream: Stream, shape: float, count: int, start: int) -> np.ndarray:
    """Gamma variates of mean 1 and coefficient of variation ``1/sqrt(shape)`` at positions ``start`` ….

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); a shape below 1 is drawn one higher
    and multiplied by ``U**(1/shape)``.  Attempt k of an element reads its own lanes of the stream.
    """
    boosted = shape < 1
    d = (shape + 1 if boosted else shape) - 1 / 3
    c = 1 / math.sqrt(9 * d)
    out = np.zeros(count)
    open_ = range(count)
    for attempt in range(MOST_ATTEMPTS):
        lane = 2 * attempt * LANE
        if attempt == 0:
            normals = stream.normal(count, start + lane).tolist()
            uniforms = stream.uniform(count, start + lane + LANE).tolist()
        else:
            normals = {i: float(stream.normal(1, start + i + lane)[0]) for i in open_}
            uniforms = {i: float(stream.uniform(1, start + i + lane + LANE)[0]) for i in open_}
        left = []
        for i in open_:
            z, v = normals[i], 1 + c * normals[i]
            cube = v * v * v
            if v > 0 and math.log(max(uniforms[i], 2.0**-54)) < 0.5 * z * z + d - d * cube + d * math.log(cube):
                out[i] = d * cube
            else:
                left.append(i)
        open_ = left
        if not left:
            break
    if boosted:
        power = 1 / shape
        lifts = stream.uniform(count, start + (2 * MOST_ATTEMPTS + 2) * LANE).tolist()
        out *= np.array([(u + 2.0**-54) ** power for u in lifts])
    return out / shape


def gamma_first(stream: Stream, shape: float) -> float:
    """The first gap seen from a random moment (equilibrium): a random part of a length-biased gamma gap of mean 1."""
    biased = float(gamma(stream, shape + 1, 1, FIRST)[0]) * (shape + 1) / shape
    return biased * float(stream.uniform(1, FIRST + FIRST)[0])


def weibull_first(stream: Stream, shape: float) -> float:
    """The same for Weibull gaps of mean 1: a length-biased one to the power ``shape`` is gamma of 1 + 1/shape."""
    power = 1 / shape
    biased = (float(gamma(stream, 1 + power, 1, FIRST)[0]) * (1 + power)) ** power / math.gamma(1 + power)
    return biased * float(stream.uniform(1, FIRST + FIRST)[0])


def weibull(stream: Stream, shape: float, count: int, start: int) -> np.ndarray:
    """Weibull variates of mean 1 by inversion."""
    power = 1 / shape
    mean = math.gamma(1 + power)
    return np.array([e**power / mean for e in stream.exponential(count, start).tolist()])
