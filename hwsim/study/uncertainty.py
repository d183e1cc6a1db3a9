"""Intervals on the figures of a run: sampling (other seeds) and model (laws off by their residuals), kept apart.

Draw ``k`` multiplies the time of every law by ``exp(sigma * z)``, where ``z`` depends on the draw, the law and the
efficiency file only: two scenarios on the same device are off in the same way, so their difference is judged fairly.
Simplification: a law stands for what bounds a step (tensor, hbm, link, launch, host), not for each kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.cost.price import Pricer
from hwsim.cost.scaled import Scaled
from hwsim.kernel.random import Stream
from hwsim.metrics import registry
from hwsim.study import spread

if TYPE_CHECKING:
    from hwsim.scenario.build import Simulation
    from hwsim.scenario.load import Scenario

HEADLINES = (
    "ttft.p50",
    "ttft.p99",
    "tpot.p50",
    "tpot.p99",
    "throughput.output",
    "slo.attainment",
    "usd_per_million_output_tokens",
)
LOW, HIGH = 0.1, 0.9


class Drawn(Scaled):
    """Prices of another pricer with each component's time multiplied by the factor of what bounds it."""

    def __init__(self, inner: Pricer, factor: Callable[[str], float]) -> None:
        super().__init__(inner, 1.0, host=factor("host"))
        self.drawn = factor

    def factor_of(self, bound: str) -> float:
        """The factor of that law in this draw; what no law gave stays."""
        return self.drawn(bound) if bound else 1.0


def adjusted(draw: int) -> Callable[[Simulation], None]:
    """What makes a built simulation one of the draws."""

    def adjust(simulation: Simulation) -> None:
        for pool in simulation.pools:
            efficiency = pool.machine.efficiency
            scale = factors_of(efficiency)
            for engine in pool.engines:
                engine.pricer = Drawn(engine.pricer, scale)

    def factors_of(efficiency: Any) -> Callable[[str], float]:
        name = efficiency.name if efficiency is not None else ""
        factors: dict[str, float] = {}

        def factor(bound: str) -> float:
            if bound not in factors:
                law = bound.split(".")[-1]
                z = float(Stream(draw, f"uncertainty/{law}/{name}").normal(1)[0])
                factors[bound] = math.exp(spread.of_law(bound, efficiency) * z)
            return factors[bound]

        return factor

    return adjust


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its two 80 % intervals: over seeds, and over draws of the laws."""

    metric: str
    unit: str
    value: float
    sampling: tuple[float, float]
    model: tuple[float, float]


def draws(scenario: Scenario, count: int, *, model: bool) -> list[dict[str, float | None]]:
    """Headline figures of ``count`` runs that differ in their seed, or (``model``) in how the laws are off."""
    return [one_draw(scenario, number, model) for number in range(1, count + 1)]


def one_draw(scenario: Scenario, number: int, model: bool) -> dict[str, float | None]:
    """One of the runs (in a worker); number 0 is the run itself."""
    from hwsim.scenario.run import run

    if number == 0:
        summary = run(scenario, record="off").summary
    elif model:
        summary = run(scenario, record="off", adjust=adjusted(number)).summary
    else:
        summary = run(scenario, record="off", seed=scenario.spec.seed + number).summary
    return figures(summary)


def figures(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """The headline figures of a summary."""
    return {name: registry.find(name).read(summary) for name in HEADLINES}


def sampled(scenarios: Sequence[Scenario], count: int, progress: Callable[[float, str], None] | None = None) -> list:
    """For every scenario its own figures, those of other seeds, and those of the draws; all in parallel."""
    from hwsim.study.points import run_jobs

    plan = [(number, model) for model in (False, True) for number in range(1, count + 1)]
    jobs = [(scenario, number, model) for scenario in scenarios for number, model in [(0, False), *plan]]
    found = run_jobs(one_draw, jobs, progress, "draws")
    size = 1 + 2 * count
    return [
        (part[0], part[1 : 1 + count], part[1 + count :])
        for part in (found[i * size : (i + 1) * size] for i in range(len(scenarios)))
    ]


def intervals(own: Mapping[str, float | None], seeds: Sequence[Mapping], laws: Sequence[Mapping]) -> list[Interval]:
    """The headline figures that there are, each with its intervals."""
    out = []
    for name, value in own.items():
        if value is None:
            continue
        sampling, model = ([each[name] for each in some if each[name] is not None] for some in (seeds, laws))
        ends = [(_at(some, LOW), _at(some, HIGH)) if some else (value, value) for some in (sampling, model)]
        out.append(Interval(name, registry.find(name).unit, value, ends[0], ends[1]))
    return out


def _at(values: Sequence[float], share: float) -> float:
    """A quantile by linear interpolation."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def better(first: Sequence[Mapping], second: Sequence[Mapping], metric: str) -> tuple[int, int]:
    """In how many draws, of those that give the metric on both sides, the second scenario is better."""
    pairs = [(a[metric], b[metric]) for a, b in zip(first, second, strict=True) if None not in (a[metric], b[metric])]
    higher = registry.find(metric).better == "higher"
    return sum((b > a) == higher and a != b for a, b in pairs), len(pairs)
