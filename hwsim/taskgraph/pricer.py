"""Prices of engine steps from task graphs: the graph of a pass is run once for each shape and remembered.

A decode step is priced in its steady state: what one more of them adds to a row of them.  Between contexts that were
run (5 % apart) the time is linear in the summed context, as the price contract says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from hwsim.cost.price import Component, Demand, StepPrice, StepShape, subticks
from hwsim.errors import ScenarioError
from hwsim.taskgraph.account import account, spans
from hwsim.taskgraph.deadlock import check_finished
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site

COPIED = "copied "  # demands of this name are bytes between two places, which take no capacity of that name
KNOT = 1.05  # contexts that are run are at most this factor apart
FIRST_KNOT = 64


class Pattern(Protocol):
    """How a pass runs; see ``hwsim.taskgraph.patterns``."""

    rows: int

    def __init__(self, job: Job) -> None: ...

    def hold(self, site: Site) -> None:
        """Take the memory of what stays."""
        ...

    def segments(self, site: Site, step: Step, repeats: int) -> Iterable[Segment]:
        """The graph of ``repeats`` passes in a row."""
        ...


@dataclass(frozen=True)
class PassTime:
    """What one pass takes: seconds, shares of the critical path by resource, seconds of work by name, amounts."""

    seconds: float
    bounds: dict[str, float]
    parts: dict[str, float]
    amounts: dict[str, float]
    copies: dict[str, float]
    memory: dict[str, Any]


class GraphPricer:
    """Prices for one job with one pattern; ``scale`` speeds resources up for what-ifs.

    Patterns know no sliding windows: attention reads the whole context.
    """

    windows: tuple[int, ...] = ()

    def __init__(self, job: Job, pattern: type[Pattern], *, scale: dict[str, float] | None = None) -> None:
        self.job = job
        self.pattern = pattern(job)
        self.scale = scale
        self.memory: dict[str, Any] = {}
        self.runs = 0
        self._passes: dict[tuple[Step, bool], PassTime] = {}
        self._prices: dict[tuple[StepShape, int], StepPrice] = {}

    def pass_time(self, step: Step, *, steady: bool) -> PassTime:
        """One pass by itself, or (``steady``) what another one adds."""
        found = self._passes.get((step, steady))
        if found is None:
            found = self._run(step, 2 if steady else 1)
            if steady:
                found = _difference(found, self._run(step, 3))
            self._passes[step, steady] = found
        return found

    def _run(self, step: Step, repeats: int) -> PassTime:
        from hwsim.metrics.critical_path import critical_path

        site = Site(self.job.system, dtype=self.job.model.weight_format.compute, scale=self.scale, record=True)
        self.pattern.hold(site)
        site.executor.run(self.pattern.segments(site, step, repeats))
        check_finished(site.executor)
        self.runs += 1
        figures = account(site.executor)
        folds = site.executor.folding.folds if site.executor.folding is not None else []
        path = critical_path(spans(site.executor), folds)
        parts: dict[str, float] = {}
        for work in site.executor.works:
            parts[work.name] = parts.get(work.name, 0.0) + work.ticks * work.count / 1e12
        for name, pool in figures["memory"].items():
            if pool.get("peak_bytes", 0) >= self.memory.get(name, {}).get("peak_bytes", 0) and "peak_bytes" in pool:
                self.memory[name] = pool
        return PassTime(
            figures["makespan_s"],
            dict(path.by_resource),
            parts,
            {name: capacity["amount"] for name, capacity in figures["capacities"].items()},
            {f"{copy['from']}-{copy['to']}": copy["bytes"] for copy in figures["copies"]},
            figures["memory"],
        )

    # -- the contract --------------------------------------------------------------------------------------------

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        """The affine piece of a step's price at a summed context; a step is prefill or decode, not both."""
        if shape.chunks and shape.rows:
            raise ScenarioError.of(
                "this pattern runs prefill and decode in passes of their own",
                where="serve.execute",
                expected="batching: static",
            )
        if shape.chunks:
            return self._prefill(shape)
        low, high = _knots(max(context // max(shape.rows, 1), 1))
        key = (shape, low)
        if key not in self._prices:
            self._prices[key] = self._decode(shape, low, high)
        return self._prices[key]

    def _prefill(self, shape: StepShape) -> StepPrice:
        key = (shape, -1)
        if key not in self._prices:
            new, past = shape.chunks[0]
            if any(chunk != (new, past) for chunk in shape.chunks):  # padded to the longest, as static batches are
                new, past = max(shape.chunks)
            found = self.pass_time(Step(len(shape.chunks), new, past), steady=False)
            self._prices[key] = StepPrice(
                subticks(found.seconds),
                components=_components(found, found, 0, 0),
                demands=_demands(found, found, 0, 0),
            )
        return self._prices[key]

    def _decode(self, shape: StepShape, low: int, high: int) -> StepPrice:
        rows = shape.rows
        first = self.pass_time(Step(rows, 1, low - 1), steady=True)
        last = self.pass_time(Step(rows, 1, high - 1), steady=True)
        start, end = rows * low, rows * high
        slope = round((subticks(last.seconds) - subticks(first.seconds)) / (end - start))
        return StepPrice(
            subticks(first.seconds) - slope * start,
            slope,
            low=start,
            limit=end - 1,
            components=_components(first, last, start, end),
            demands=_demands(first, last, start, end),
            source="task graph",
        )


def _knots(context: int) -> tuple[int, int]:
    """The two contexts around one at which graphs are run."""
    low, high = 1, FIRST_KNOT
    while high <= context:
        low, high = high, max(high + 1, int(high * KNOT))
    return low, high


def _difference(two: PassTime, three: PassTime) -> PassTime:
    """What the third pass added to the second."""

    def less(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {name: max(value - b.get(name, 0.0), 0.0) for name, value in a.items()}

    return PassTime(
        three.seconds - two.seconds,
        less(three.bounds, two.bounds),
        less(three.parts, two.parts),
        less(three.amounts, two.amounts),
        less(three.copies, two.copies),
        three.memory,
    )


def _components(first: PassTime, last: PassTime, start: int, end: int) -> tuple[Component, ...]:
    """Time by bounding resource, affine between two contexts."""
    found = []
    for name in dict.fromkeys([*first.bounds, *last.bounds]):
        low, high = subticks(first.bounds.get(name, 0.0)), subticks(last.bounds.get(name, 0.0))
        slope = (high - low) // (end - start) if end > start else 0
        found.append(Component(name, low - slope * start, slope))
    return tuple(found)


def _demands(first: PassTime, last: PassTime, start: int, end: int) -> tuple[Demand, ...]:
    found = []
    before, after = _taken(first), _taken(last)
    for name in dict.fromkeys([*before, *after]):
        low, high = before.get(name, 0.0), after.get(name, 0.0)
        slope = (high - low) / (end - start) if end > start else 0.0
        found.append(Demand(name, low - slope * start, slope))
    return tuple(found)


def _taken(passed: PassTime) -> dict[str, float]:
    return passed.amounts | {COPIED + name: size for name, size in passed.copies.items()}
