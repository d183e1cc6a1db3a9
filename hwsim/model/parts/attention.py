"""Softmax attention with grouped key and value heads: over all tokens, a sliding window, or the current chunk."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.product import Product, State, split


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head (``kv_heads == heads``), grouped-query or multi-query (1) attention.

    ``window`` is the number of tokens a query sees, itself included; ``chunked`` says that it restarts at multiples
    of ``window`` instead of sliding (priced as sliding: at most twice the pairs of a chunk).  ``gate`` doubles the
    query projection, ``sinks`` adds a logit per head.  ``qk_norm``: ``head`` an RMSNorm per head, ``layer`` a
    LayerNorm per head, ``all`` an RMSNorm over all heads.  ``value_dim`` is the width of a value head where it
    differs.  Parameters: ``d*h*e + 2*d*k*e + h*e*d`` (checked against reference module code).
    """

    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    chunked: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: str = ""
    gate: bool = False
    sinks: bool = False
    value_dim: int | None = None
    causal: bool = True

    @property
    def value(self) -> int:
        """Width of a value head."""
        return self.head_dim if self.value_dim is None else self.value_dim

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Query, key and value (split by heads), and the output (split by rows)."""
        heads, kv = self.heads // ranks, split(self.kv_heads, ranks)
        query = heads * self.head_dim * (2 if self.gate else 1)
        return (
            Product("qkv", query + kv * (self.head_dim + self.value), hidden),
            Product("o", hidden, heads * self.value),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Biases, norms and sinks: split with the heads, but for the output bias and norms that heads share."""
        heads, kv, width = self.heads // ranks, split(self.kv_heads, ranks), self.head_dim
        count = heads * width + kv * (width + self.value) if self.qkv_bias else 0
        if self.output_bias:
            count += hidden
        norms = {"": 0, "head": 2 * width, "layer": 4 * width, "all": (heads + kv) * width}
        return count + norms[self.qk_norm] + (heads if self.sinks else 0)

    def misfit(self, ranks: int) -> str:
        """Why the heads do not divide over the ranks; empty when they do."""
        if self.heads % ranks:
            return f"{self.heads} attention heads do not divide over the ranks"
        if self.kv_heads % ranks and ranks % self.kv_heads:
            return f"{self.kv_heads} KV heads neither divide over {ranks} ranks nor repeat on them"
        return ""

    def kv_elements(self, ranks: int = 1) -> int:
        """Elements kept of one token: ``k*(e + v)``."""
        return split(self.kv_heads, ranks) * (self.head_dim + self.value)

    def index_elements(self) -> int:
        """Elements kept of one token to choose keys: none."""
        return 0

    def state(self, ranks: int = 1) -> State:
        """Nothing is kept beside the cache."""
        return State()

    def pair_flop(self, ranks: int = 1) -> int:
        """FLOP of one (query, key) pair: ``2*h*e`` for the score and ``2*h*v`` for the value."""
        return 2 * (self.heads // ranks) * (self.head_dim + self.value)

    def expand_flop(self, ranks: int = 1) -> int:
        """FLOP to unpack one cached token before a prefill can use it: none."""
        return 0

    def index_flop(self) -> int:
        """FLOP to score one cached token before choosing keys: none."""
        return 0
