"""One sequence at a time and constant cost: the engine is a queue with known answers."""

from __future__ import annotations

import math
import random

import pytest

from hwsim.cost.constant import ConstantPricer
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request

SECOND = 10**12


def served(arrivals: list[int], outputs: list[int], *, step: int, single_step: bool = False) -> list[Request]:
    """Requests of one-chunk prompts on an engine that runs one at a time; service = outputs x step."""
    config = EngineConfig(num_gpu_blocks=1000, max_num_seqs=1, max_num_batched_tokens=64, async_scheduling=False)
    engine = Engine(config, ConstantPricer(step), single_step=single_step)
    requests = [Request(i, t, 16, n) for i, (t, n) in enumerate(zip(arrivals, outputs, strict=True))]
    for request in requests:
        engine.submit(request, request.arrival << 10)
    engine.advance()
    return requests


def poisson(rng: random.Random, count: int, rate: float) -> list[int]:
    time, out = 0.0, []
    for _ in range(count):
        time += rng.expovariate(rate)
        out.append(round(time * SECOND))
    return out


def waits(requests: list[Request]) -> list[int]:
    return [(r.scheduled >> 10) - r.arrival for r in requests if r.scheduled is not None]


@pytest.mark.parametrize("single_step", [False, True])
def test_every_wait_is_lindleys(single_step: bool) -> None:
    rng = random.Random(3)
    arrivals = poisson(rng, 400, 1.0)
    arrivals[50:60] = [arrivals[50]] * 10  # ties
    outputs = [rng.randrange(1, 6) for _ in arrivals]
    step = SECOND // 5
    wait, expected = 0, []
    for i, outputs_i in enumerate(outputs):
        expected.append(wait)
        gap = arrivals[i + 1] - arrivals[i] if i + 1 < len(arrivals) else 0
        wait = max(0, wait + outputs_i * step - gap)
    assert waits(served(arrivals, outputs, step=step, single_step=single_step)) == expected


def confident(values: list[int], batches: int = 40) -> tuple[float, float]:
    """Mean and three standard errors by batch means, in seconds (waits are correlated)."""
    size = len(values) // batches
    means = [sum(values[i * size : (i + 1) * size]) / size / SECOND for i in range(batches)]
    mean = sum(means) / batches
    return mean, 3 * math.sqrt(sum((m - mean) ** 2 for m in means) / (batches - 1) / batches)


def test_mean_wait_covers_m_d_1() -> None:
    rng, rate, service = random.Random(5), 0.7, 1.0
    mean, error = confident(waits(served(poisson(rng, 40_000, rate), [4] * 40_000, step=SECOND // 4)))
    exact = rate * service**2 / (2 * (1 - rate * service))
    assert abs(mean - exact) < error < 0.3 * exact


def test_mean_wait_covers_pollaczek_khinchine() -> None:
    rng, rate = random.Random(7), 0.4
    outputs = [rng.choice([1, 1, 1, 9]) for _ in range(60_000)]
    mean, error = confident(waits(served(poisson(rng, 60_000, rate), outputs, step=SECOND // 3)))
    moments = [sum(w * (n / 3) ** k for n, w in ((1, 0.75), (9, 0.25))) for k in (1, 2)]
    exact = rate * moments[1] / (2 * (1 - rate * moments[0]))
    assert abs(mean - exact) < error < 0.3 * exact
