"""A matrix product of one layer on one rank: the unit from which parameters, FLOP, bytes and time follow."""

from __future__ import annotations

from typing import NamedTuple

# Parts whose weights may have a number format and a place of their own.
WEIGHT_PARTS = ("embeddings", "attention", "ffn", "shared", "experts", "router", "head")


class Product(NamedTuple):
    """``out[m, n] = in[m, k] @ weight[k, n]``; ``part`` is the class of its weights (see ``WEIGHT_PARTS``)."""

    name: str
    n: int
    k: int
    part: str = "attention"

    @property
    def parameters(self) -> int:
        """Weights of the matrix."""
        return self.n * self.k


class State(NamedTuple):
    """What a layer keeps of a sequence whatever its length: elements of a 32-bit state and of a convolution's tail."""

    wide: int = 0
    narrow: int = 0


def split(size: int, ranks: int) -> int:
    """The share of a rank, rounded up: what does not divide is padded or repeated."""
    return -(-size // ranks)
