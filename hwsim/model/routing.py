"""How often each expert of each layer is chosen: a fact of the workload, from which load and reach follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Routing:
    """``shares[layer][expert]`` add up to 1 per layer.  Tokens are taken to choose apart from each other.

    Experts lie on ranks in blocks of their numbers, as engines place them without rebalancing.
    """

    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def uniform(cls, experts: int) -> Routing:
        """Every expert is as likely."""
        return cls(((1 / experts,) * experts,))

    @classmethod
    def of_counts(cls, counts: Iterable[Mapping[int, float]], experts: int) -> Routing:
        """From counts per expert, one mapping per layer; experts that are not named were never chosen."""
        layers = []
        for layer in counts:
            total = sum(layer.values())
            layers.append(tuple(layer.get(expert, 0.0) / total for expert in range(experts)))
        return cls(tuple(layers))

    @property
    def experts(self) -> int:
        """Experts of a layer."""
        return len(self.shares[0])

    def load(self, ranks: int) -> float:
        """Token copies of the busiest of ``ranks`` over the mean, on average over layers (1: even)."""
        each = self.experts // ranks
        busiest = (
            max(sum(layer[rank * each : (rank + 1) * each]) for rank in range(ranks)) * ranks for layer in self.shares
        )
        return sum(busiest) / len(self.shares)

    def reach(self, tokens: float, top_k: int) -> float:
        """Expected number of distinct experts of a layer that ``tokens`` tokens choose, on average over layers.

        ``sum(1 - (1 - q_e)**tokens)`` with ``q_e`` the chance that a token's ``top_k`` choices hold expert ``e``.
        """
        total = 0.0
        for layer in self.shares:
            total += sum(1 - (1 - chance) ** tokens for chance in _chances(layer, top_k))
        return total / len(self.shares)


def _chances(shares: tuple[float, ...], top_k: int) -> list[float]:
    """``top_k`` times the share, but never above 1: what is cut off goes to the others in proportion."""
    chances, fixed = [top_k * share for share in shares], set[int]()
    while True:
        over = {index for index, chance in enumerate(chances) if chance > 1 and index not in fixed}
        if not over:
            return [1.0 if index in fixed else chance for index, chance in enumerate(chances)]
        fixed |= over
        rest = sum(share for index, share in enumerate(shares) if index not in fixed)
        left = top_k - len(fixed)
        chances = [left * share / rest if rest and index not in fixed else 0.0 for index, share in enumerate(shares)]
