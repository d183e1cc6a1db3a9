"""Bottleneck-fair sharing: who gets how much when users together ask for more than capacities have.

User ``i`` of weight ``w_i`` runs at progress ``x_i`` in (0, 1]; it then takes ``u_ic * x_i`` units per second of every
capacity ``c`` it touches.  The solution is *bottleneck-fair*: each user has ``x_i = 1`` or touches a full capacity on
which nobody gets more than it does per weight, in that capacity's units.  (Bottleneck max fairness of T. Bonald and
J. Roberts, "Multi-resource fairness", SIGMETRICS 2015; for flows of bytes over routes it is weighted max-min fairness.)

Such a solution has one level ``L_c`` per full capacity with ``x_i = min(1, min_c w_i L_c / u_ic)``.  Where every user
takes equal amounts of all its capacities, progressive filling finds it in one pass.  Otherwise the levels are iterated
in fixed order; as soon as the guess of who is limited where stands, the levels follow from a linear system, and the
answer is accepted only if it *is* bottleneck-fair.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from hwsim.kernel.filling import Demands, Filling

ROUNDS = 200  # most rounds of the iteration
ACCEPT = 1e-12  # residual at which a solution is taken
DAMP_AFTER = 20  # rounds after which levels move only half way


class Shares(NamedTuple):
    """Progress of each user, how far they are from bottleneck-fair (0: exactly), rounds it took (1: one pass)."""

    progress: list[float]
    residual: float
    rounds: int


def share(
    rates: Sequence[float],
    demands: Sequence[Demands],
    weights: Sequence[float],
    counts: Sequence[int] | None = None,
) -> Shares:
    """Solve bottleneck-fair sharing of capacities with ``rates`` (units/s), deterministically in the given order.

    ``demands[i]`` lists ``(capacity index, units per second of alone time)``, positive, each capacity once; ``counts``
    says how many equal users stand behind entry ``i`` (1 each if left out).  Capacities that nobody fills are allowed.
    """
    return System(rates, demands, weights).share(counts or [1] * len(demands))


class System:
    """Users, capacities and who asks what, prepared once for solving with changing numbers of equal users."""

    __slots__ = ("demands", "equal", "filling", "rates", "users_on", "weights")

    def __init__(self, rates: Sequence[float], demands: Sequence[Demands], weights: Sequence[float]) -> None:
        self.rates = rates
        self.demands = demands
        self.weights = weights
        self.users_on: list[list[int]] = [[] for _ in rates]
        self.equal = True  # each user takes the same of all its capacities
        for i, demand in enumerate(demands):
            for c, units in demand:
                self.users_on[c].append(i)
                self.equal = self.equal and units == demand[0][1]
        self.filling: Filling | None = None  # made when it is needed

    def share(self, counts: Sequence[int]) -> Shares:
        """Progress of each user with ``counts[i]`` users like it."""
        if len(self.rates) == 1:
            return Shares(self._one_capacity(counts), 0.0, 1)
        if self.equal:
            if self.filling is None:
                self.filling = Filling(self.rates, self.demands, self.weights, self.users_on)
            return Shares(self.filling.fill(counts), 0.0, 1)
        return _iterate(self, counts)

    def _one_capacity(self, counts: Sequence[int]) -> list[float]:
        weights = self.weights
        asks = [demand[0][1] if demand else 0.0 for demand in self.demands]
        level = _level(self.rates[0], asks, weights, counts)
        return [1.0 if ask <= w * level else w * level / ask for ask, w in zip(asks, weights, strict=True)]


def _level(rate: float, asks: Sequence[float], weights: Sequence[float], counts: Sequence[int]) -> float:
    """The level L with ``sum n_i min(ask_i, w_i L) = rate``; infinite if the asks fit."""
    left, total = rate, 0.0
    limits: list[tuple[float, float, float]] = []
    for ask, weight, count in zip(asks, weights, counts, strict=True):
        limits.append((ask / weight, ask * count, weight * count))
        total += weight * count
    limits.sort()
    for limit, ask, weight in limits:
        if limit * total >= left:
            return left / total
        left -= ask
        total -= weight
    return inf


def _iterate(system: System, counts: Sequence[int]) -> Shares:
    """Levels of one capacity after the other, given the others; then the linear system once the limits stand."""
    rates, demands, weights = system.rates, system.demands, system.weights
    levels = [inf] * len(rates)
    best = Shares([], inf, 0)
    before: list[int] = []
    for turn in range(1, ROUNDS + 1):
        for c in range(len(rates)):
            level = _level_given_others(system, c, counts, levels)
            if turn > DAMP_AFTER and level < inf and levels[c] < inf:
                level = (level + levels[c]) / 2
            levels[c] = level
        limits = [_limit(demand, w, levels) for demand, w in zip(demands, weights, strict=True)]
        where = [c for c, _ in limits]
        candidates = [[x for _, x in limits]]
        if where == before or turn % 8 == 0:
            candidates += _levelled(where, rates, demands, weights, counts)
        before = where
        for progress in candidates:
            _make_feasible(progress, rates, demands, counts)
            error = residual(progress, rates, demands, weights, counts)
            if error < best.residual:
                best = Shares(progress, error, turn)
        if best.residual <= ACCEPT:
            break
    return best


def _level_given_others(system: System, c: int, counts: Sequence[int], levels: Sequence[float]) -> float:
    """The level of capacity ``c`` while the levels of the others stay where they are."""
    users = system.users_on[c]
    asks: list[float] = []
    for i in users:
        least, own, weight = 1.0, 0.0, system.weights[i]
        for other, units in system.demands[i]:
            if other == c:
                own = units
            else:
                x = weight * levels[other] / units
                if x < least:
                    least = x
        asks.append(own * least)
    return _level(system.rates[c], asks, [system.weights[i] for i in users], [counts[i] for i in users])


def _limit(demand: Demands, weight: float, levels: Sequence[float]) -> tuple[int, float]:
    """Where a user is limited (-1: only by itself) and its progress there."""
    where, least = -1, 1.0
    for c, units in demand:
        x = weight * levels[c] / units
        if x < least:
            where, least = c, x
    return where, least


def _levelled(
    where: Sequence[int],
    rates: Sequence[float],
    demands: Sequence[Demands],
    weights: Sequence[float],
    counts: Sequence[int],
) -> list[list[float]]:
    """Progress if each user is limited exactly ``where`` it is said to be: a linear system in the levels."""
    full = sorted({c for c in where if c >= 0})
    row_of = {c: row for row, c in enumerate(full)}
    matrix = [[0.0] * len(full) + [rates[c]] for c in full]
    slope = [0.0] * len(where)
    for i, demand in enumerate(demands):
        for c, units in demand:
            if c == where[i]:
                slope[i] = weights[i] / units
        for c, units in demand:
            row = row_of.get(c)
            if row is not None and where[i] >= 0:
                matrix[row][row_of[where[i]]] += counts[i] * units * slope[i]
            elif row is not None:
                matrix[row][-1] -= counts[i] * units
    levels = _solve(matrix)
    if levels is None or min(levels, default=1.0) <= 0:
        return []
    return [[1.0 if c < 0 else min(1.0, slope[i] * levels[row_of[c]]) for i, c in enumerate(where)]]


def _solve(matrix: list[list[float]]) -> list[float] | None:
    """Gaussian elimination with partial pivoting of an augmented matrix; None if it is singular."""
    size = len(matrix)
    for k in range(size):
        pivot = max(range(k, size), key=lambda row: abs(matrix[row][k]))
        matrix[k], matrix[pivot] = matrix[pivot], matrix[k]
        if matrix[k][k] == 0.0:
            return None
        for row in matrix[k + 1 :]:
            factor = row[k] / matrix[k][k]
            if factor:
                for column in range(k, size + 1):
                    row[column] -= factor * matrix[k][column]
    solution = [0.0] * size
    for k in reversed(range(size)):
        rest = sum(matrix[k][j] * solution[j] for j in range(k + 1, size))
        solution[k] = (matrix[k][size] - rest) / matrix[k][k]
    return solution


def _loads(
    progress: Sequence[float], rates: Sequence[float], demands: Sequence[Demands], counts: Sequence[int]
) -> list[float]:
    loads = [0.0] * len(rates)
    for x, demand, count in zip(progress, demands, counts, strict=True):
        for c, units in demand:
            loads[c] += units * x * count
    return loads


def _make_feasible(
    progress: list[float], rates: Sequence[float], demands: Sequence[Demands], counts: Sequence[int]
) -> None:
    """Scale everybody down where the fullest capacity would give more than it has."""
    over = max((load / rate for load, rate in zip(_loads(progress, rates, demands, counts), rates, strict=True)))
    if over > 1.0:
        progress[:] = [x / over for x in progress]


def residual(
    progress: Sequence[float],
    rates: Sequence[float],
    demands: Sequence[Demands],
    weights: Sequence[float],
    counts: Sequence[int] | None = None,
) -> float:
    """How far progress is from bottleneck-fair: the worst user's distance, as a share, from what would excuse it.

    A user is excused by ``x = 1`` (distance ``1 - x``) or by a capacity (distance: the share of it that is free plus
    the share by which the user gets less per weight than the one who gets most of it).  Feasibility is not in it.
    """
    counts = counts or [1] * len(demands)
    loads = _loads(progress, rates, demands, counts)
    most = [0.0] * len(rates)
    for x, demand, weight in zip(progress, demands, weights, strict=True):
        for c, units in demand:
            most[c] = max(most[c], units * x / weight)
    worst = 0.0
    for x, demand, weight in zip(progress, demands, weights, strict=True):
        distance = 1.0 - x
        for c, units in demand:
            if distance <= worst:
                break
            free = max(0.0, 1.0 - loads[c] / rates[c])
            distance = min(distance, free + 1.0 - units * x / (weight * most[c]))
        worst = max(worst, distance)
    return worst
