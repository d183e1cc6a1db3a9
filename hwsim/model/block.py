"""A layer of a network: a mixer of tokens, a feed-forward network and norms; runs of equal layers make the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.dense import Dense
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.moe import Moe
from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product

Mixer = Attention | Mla | Scan
FeedForward = Dense | Moe


@dataclass(frozen=True, slots=True)
class Block:
    """One layer.  Either part may be absent (single-mixer layers); ``cross`` attends to an encoder's output.

    ``norms`` norms of the hidden size, with a bias each if ``norm_bias``.  ``parallel`` blocks feed mixer and
    feed-forward network from one norm and sum both, so their ranks meet once instead of twice.
    """

    mixer: Mixer | None = None
    feed_forward: FeedForward | None = None
    norms: int = 2
    norm_bias: bool = False
    parallel: bool = False
    cross: Attention | None = None

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Products that every token goes through, experts apart."""
        mixer = self.mixer.products(hidden, ranks) if self.mixer is not None else ()
        inner = self.feed_forward.products(hidden, ranks) if self.feed_forward is not None else ()
        cross = ()
        if self.cross is not None:
            query = self.cross.heads // ranks * self.cross.head_dim
            cross = (Product("cross_q", query, hidden), Product("cross_o", hidden, query))
        return (*mixer, *cross, *inner)

    def seen_products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Products that each token of an encoder's output goes through: keys and values of cross-attention."""
        if self.cross is None:
            return ()
        return (Product("cross_kv", self.cross.kv_elements(ranks), hidden),)

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Norms, biases and other parameters that are no matrices."""
        norms = self.norms * hidden * (2 if self.norm_bias else 1)
        parts = (self.mixer, self.cross, self.feed_forward)
        return norms + sum(part.small(hidden, ranks) for part in parts if part is not None)

    def parameters(self, hidden: int) -> int:
        """All parameters of the layer."""
        both = (*self.products(hidden), *self.seen_products(hidden))
        products = sum(product.parameters for product in both)
        return products + self.small(hidden) + self.expert_parameters(hidden)

    def expert_parameters(self, hidden: int) -> int:
        """Parameters of all routed experts."""
        part = self.feed_forward
        return part.experts * part.expert_parameters(hidden) if isinstance(part, Moe) else 0

    def active_parameters(self, hidden: int) -> int:
        """Parameters that multiply one token: all but the experts it is not sent to."""
        part = self.feed_forward
        idle = (part.experts - part.top_k) * part.expert_parameters(hidden) if isinstance(part, Moe) else 0
        return self.parameters(hidden) - idle

    @property
    def meetings(self) -> int:
        """How often tensor-parallel ranks must sum their parts: once per row-split output."""
        parts = sum(part is not None for part in (self.mixer, self.cross, self.feed_forward))
        return 1 if self.parallel else parts


class Run(NamedTuple):
    """``layers`` equal layers that follow each other."""

    layers: int
    block: Block


def runs(blocks: Iterable[Block]) -> tuple[Run, ...]:
    """Layers in order, equal neighbours put together."""
    return tuple(Run(sum(1 for _ in same), block) for block, same in groupby(blocks))


def kinds(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Equal layers put together wherever they stand, in order of their first appearance."""
    counts: dict[Block, int] = {}
    for count, block in runs:
        counts[block] = counts.get(block, 0) + count
    return tuple(Run(count, block) for block, count in counts.items())
