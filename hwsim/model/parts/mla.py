"""Multi-head latent attention: the cache holds one latent per token, expanded for prefill and absorbed for decode."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Indexer:
    """The chooser of sparse latent attention: ``heads`` small queries score every cached key, the best stay."""

    heads: int
    head_dim: int
    top_k: int


@dataclass(frozen=True, slots=True)
class Mla:
    """Latent attention of DeepSeek-V2 (arXiv 2405.04434), field names as in its config.

    *Expanded* (prefill): keys and values are unpacked from the latents of all tokens, ``2h(n+r) + 2hv`` FLOP per
    pair.  *Absorbed* (decode): queries are taken into the latent space, ``2h(c+r) + 2hc`` per pair, and the cache is
    read once for all heads.  The weights multiplied per token are the same in both.  With an ``indexer`` a query
    attends to its ``top_k`` best keys only.  ``qk_norm`` is a norm per head on queries and keys beside the latents'.
    """

    heads: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    q_lora_rank: int | None = None
    indexer: Indexer | None = None
    shared_index: bool = False

    @property
    def window(self) -> int | None:
        """The number of keys a query attends to at most."""
        return None if self.indexer is None else self.indexer.top_k

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """The latents are made on every rank; what has heads is split."""
        heads, q, c, rope = self.heads // ranks, self.q_lora_rank, self.kv_lora_rank, self.qk_rope_head_dim
        query = heads * (self.qk_nope_head_dim + rope)
        found = [Product("kv_a", c + rope, hidden)] if q is None else [Product("qkv_a", q + c + rope, hidden)]
        found.append(Product("q_b", query, hidden if q is None else q))
        found.append(Product("kv_b", heads * (self.qk_nope_head_dim + self.v_head_dim), c))
        found.append(Product("o", hidden, heads * self.v_head_dim))
        index = self._own_index()
        if index is not None:
            found.append(Product("index_q", index.heads * index.head_dim, q or hidden))
            found.append(Product("index_k", index.head_dim + index.heads, hidden))
        return tuple(found)

    def _own_index(self) -> Indexer | None:
        """The indexer whose weights this layer holds; a layer may use the choice of an earlier one."""
        return None if self.shared_index else self.indexer

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Norms of the latents, on every rank."""
        index = self._own_index()
        return (self.q_lora_rank or 0) + self.kv_lora_rank + (2 * index.head_dim if index else 0)

    def misfit(self, ranks: int) -> str:
        """Why the heads do not divide over the ranks; empty when they do."""
        return f"{self.heads} attention heads do not divide over the ranks" if self.heads % ranks else ""

    def kv_elements(self, ranks: int = 1) -> int:
        """Elements kept of one token: ``c + r``, whole on every rank."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    def index_elements(self) -> int:
        """Elements of the indexer's key of one token."""
        index = self._own_index()
        return index.head_dim if index else 0

    def state(self, ranks: int = 1) -> State:
        """Nothing is kept beside the cache."""
        return State()

    def pair_flop(self, ranks: int = 1) -> int:
        """FLOP of one (query, key) pair in the expanded form."""
        return 2 * (self.heads // ranks) * (self.qk_nope_head_dim + self.qk_rope_head_dim + self.v_head_dim)

    def absorbed_pair_flop(self, ranks: int = 1) -> int:
        """FLOP of one (query, key) pair in the absorbed form: ``2h(2c + r)``."""
        return 2 * (self.heads // ranks) * (2 * self.kv_lora_rank + self.qk_rope_head_dim)

    def expand_flop(self, ranks: int = 1) -> int:
        """FLOP to unpack keys and values of one cached token: ``2*c*h*(n+v)``."""
        return 2 * self.kv_lora_rank * (self.heads // ranks) * (self.qk_nope_head_dim + self.v_head_dim)

    def index_flop(self) -> int:
        """FLOP of one (query, key) pair in the indexer, over all cached keys."""
        index = self._own_index()
        return 2 * index.heads * index.head_dim if index else 0
