"""Matrix products as one rank runs them: dense ones, and those of routed experts."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.model.numerics import Format
from hwsim.model.parts.moe import Moe
from hwsim.model.product import Product


class Gemm(NamedTuple):
    """A matrix product ``out[m, n] = in[m, k] @ weight[k, n]`` of one rank, ``times`` times per pass."""

    name: str
    n: int
    k: int
    times: int
    part: str
    format: Format

    @property
    def weight_bytes(self) -> float:
        """Bytes of one of its matrices."""
        return self.n * self.k * self.format.bytes


class Experts(NamedTuple):
    """Layers of routed experts on one rank: ``times`` layers with ``held`` experts each, their width cut or whole."""

    moe: Moe
    times: int
    held: float
    up: Product
    down: Product
    format: Format
    parameters: float
    matrix_bytes: float

    @property
    def expert_bytes(self) -> float:
        """Bytes of one expert's share on the rank."""
        return self.matrix_bytes
