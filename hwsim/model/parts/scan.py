"""A mixer that carries a state of constant size along the sequence instead of a cache of all tokens."""

from __future__ import annotations

from hwsim.model.product import Product, State


class Scan:
    """Base of state-space and linear-attention mixers: no cache, no (query, key) pairs, a state per sequence.

    ``chunk`` is the number of tokens a prefill kernel takes at once; ``step_flop`` is the work per token of a decode
    step beside the projections, ``chunk_flop`` the work per token of a prefill.  Decode moves the state in and out.
    """

    __slots__ = ()
    chunk = 1
    tensor_cores = True

    @property
    def window(self) -> int | None:
        """There are no pairs to limit."""
        return None

    def kv_elements(self, ranks: int = 1) -> int:
        """Nothing is kept per token."""
        return 0

    def index_elements(self) -> int:
        """Nothing is kept per token."""
        return 0

    def pair_flop(self, ranks: int = 1) -> int:
        """No pairs."""
        return 0

    def expand_flop(self, ranks: int = 1) -> int:
        """Nothing to unpack."""
        return 0

    def index_flop(self) -> int:
        """Nothing to choose."""
        return 0

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Matrices of the projections on a rank."""
        raise NotImplementedError

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Parameters that are no matrices."""
        raise NotImplementedError

    def misfit(self, ranks: int) -> str:
        """Why the heads do not divide over the ranks; empty when they do."""
        return ""

    def state(self, ranks: int = 1) -> State:
        """What is kept of a sequence on a rank."""
        raise NotImplementedError

    def step_flop(self, ranks: int = 1) -> float:
        """FLOP of the recurrence for one token."""
        raise NotImplementedError

    def chunk_flop(self, ranks: int = 1) -> float:
        """FLOP per token when many are taken at once; the recurrence unless there is a better form."""
        return self.step_flop(ranks)
