"""Progressive filling, remembered: users who take equal amounts of all their capacities stop in some order.

Exact max-min fairness by one pass: the rates per weight of all users rise together until a user has its ask or a
capacity is full; those concerned stop, the others go on.  Most changes of a few numbers of users leave the *order*
(which capacities fill, one after the other, and who stops where) as it was, so the order of the last filling is tried
first: its levels cost one addition per user and capacity.  It is taken only if it is strictly the right one, so that
the shares depend on the numbers of users alone and not on what was solved before.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

MARGIN = 1e-9  # two levels closer than this share are a tie: only a filling from the start decides those
ORDERS = 64  # orders of one system that are remembered

Demands = Sequence[tuple[int, float]]


class Order:
    """Which capacities fill one after the other, and who stops at which of them; the others stop at their asks."""

    __slots__ = ("asks", "capped", "others", "steps", "weights")

    def __init__(self, filling: Filling, full: Sequence[int], where: Sequence[int]) -> None:
        """``full``: capacities in order of filling; ``where``: the capacity at which each user stops, or -1."""
        self.asks = filling.asks
        self.weights = filling.weights
        limits = filling.limits
        self.capped = [i for i, c in enumerate(where) if c < 0]
        self.steps: list[tuple[float, list[int], list[int], float, float]] = []
        for c in full:
            users = filling.users_on[c]
            earlier = [i for i in users if where[i] != c]
            stopped = [i for i in users if where[i] == c]
            low = max([limits[i] for i in earlier if where[i] < 0], default=0.0) * (1 + MARGIN)
            high = min([limits[i] for i in stopped]) * (1 - MARGIN)
            self.steps.append((filling.rates[c], earlier, stopped, low, high))
        self.others = [
            (filling.rates[c] * (1 - MARGIN), users)
            for c, users in enumerate(filling.users_on)
            if users and c not in full
        ]

    def progress(self, counts: Sequence[int], mass: Sequence[float], strict: bool) -> list[float] | None:
        """Progress of each user if this is the order; None if ``strict`` and it is not, or only in a tie."""
        asks, weights = self.asks, self.weights
        found = [1.0] * len(asks)
        units = [0.0] * len(asks)
        for i in self.capped:
            units[i] = asks[i] * counts[i]
        before = 0.0
        for rate, earlier, stopped, low, high in self.steps:
            own = 0.0
            for i in stopped:
                own += mass[i]
            left = rate
            for i in earlier:
                left -= units[i]
            if not own:  # nobody of those who would stop here is there
                if strict and left < rate * MARGIN:
                    return None
                continue
            level = left / own
            if strict and not (level < high and level > low and level > before):
                return None
            before = level * (1 + MARGIN)
            for i in stopped:
                found[i] = level * weights[i] / asks[i]
                units[i] = mass[i] * level
        if strict:
            for rate, users in self.others:
                for i in users:
                    rate -= units[i]
                if rate < 0.0:
                    return None
        return found


class Filling:
    """Capacities of ``rates`` and users who take ``asks[i]`` of each of theirs, prepared for changing numbers."""

    __slots__ = ("alike", "asks", "demands", "last", "limits", "orders", "rates", "rising", "users_on", "weights")

    def __init__(
        self,
        rates: Sequence[float],
        demands: Sequence[Demands],
        weights: Sequence[float],
        users_on: Sequence[Sequence[int]],
    ) -> None:
        self.rates = rates
        self.demands = demands
        self.weights = weights
        self.users_on = users_on
        self.alike = all(weight == 1.0 for weight in weights)
        self.asks = [demand[0][1] if demand else 1.0 for demand in demands]
        self.limits = [ask / weight for ask, weight in zip(self.asks, weights, strict=True)]
        self.rising = sorted([(limit, i) for i, limit in enumerate(self.limits) if demands[i]])
        self.orders: dict[tuple[tuple[int, ...], tuple[int, ...]], Order] = {}
        self.last: Order | None = None

    def fill(self, counts: Sequence[int]) -> list[float]:
        """Progress of each user with ``counts[i]`` users like it (with none: of no meaning, but in (0, 1])."""
        mass = counts
        if not self.alike:
            mass = [weight * count for weight, count in zip(self.weights, counts, strict=True)]
        if self.last is not None:
            found = self.last.progress(counts, mass, strict=True)
            if found is not None:
                return found
        full, where = self._order(counts, mass)
        key = (tuple(full), tuple(where))
        order = self.orders.get(key)
        if order is None:
            if len(self.orders) >= ORDERS:
                self.orders.clear()
            order = self.orders[key] = Order(self, full, where)
        self.last = order
        found = order.progress(counts, mass, strict=False)
        assert found is not None
        # in a tie rounding may put a level above an ask
        return [x if x < 1.0 else 1.0 for x in found]

    def _order(self, counts: Sequence[int], mass: Sequence[float]) -> tuple[list[int], list[int]]:
        """Fill from the start: the capacities that become full, in order, and where each user stops."""
        demands, rising, users_on = self.demands, self.rising, self.users_on
        where = [-1] * len(demands)
        stopped = [False] * len(demands)
        left = list(self.rates)
        mass_on = [sum([mass[i] for i in users]) for users in users_on]
        open_on = {c: len(users) for c, users in enumerate(users_on) if users}
        full: list[int] = []
        level, nearest = 0.0, 0
        while nearest < len(rising):
            fullest, best = -1, inf
            for c in open_on:
                if left[c] < best * mass_on[c]:
                    fullest, best = c, left[c] / mass_on[c]
            if best > level:  # levels only rise: anything else is rounding
                level = best
            stops: list[int] = []
            while nearest < len(rising) and rising[nearest][0] <= level:
                i = rising[nearest][1]
                nearest += 1
                if not stopped[i]:
                    stops.append(i)
            capped = bool(stops)
            if not stops and nearest < len(rising):
                stops = [i for i in users_on[fullest] if not stopped[i]]
                full.append(fullest)
                for i in stops:
                    where[i] = fullest
            for i in stops:
                stopped[i] = True
                own = mass[i]
                units = self.asks[i] * counts[i] if capped else own * level
                for c, _ in demands[i]:
                    left[c] -= units
                    mass_on[c] -= own
                    open_on[c] -= 1
                    if not open_on[c]:
                        del open_on[c]
        return full, where
