"""Softmax attention whose cache is not simply all keys and values: fewer tokens, channels or bits, or another place."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from hwsim.model.parts.attention import Attention
from hwsim.model.product import split


class Heads(NamedTuple):
    """A ``share`` of the KV heads, and what they keep of a token: for ever, or while it is one of ``window`` tokens.

    ``key`` and ``value``: bytes of an element over those of the cache's format.  ``channels``: share of the key
    channels that scores are computed over.  The ``recent`` youngest tokens are whole beside that.  ``held``: tokens
    of the ring where that is more than is seen in one step.
    """

    share: float = 1.0
    window: int | None = None
    key: float = 1.0
    value: float = 1.0
    channels: float = 1.0
    recent: int = 0
    held: int = 0


class Rebuild(NamedTuple):
    """Keys and values are made again from ``width`` cached elements of a token (``elements``: as many in the cache's
    format, on every rank); ``hides``: while weights of the layer are read, tensor cores have time for it.
    ``passing``: elements that are read beside them in each step, but kept by no layer.
    """

    width: int
    elements: float
    hides: bool
    passing: float = 0.0


class Fetch(NamedTuple):
    """KV in host memory, of which ``blocks`` of ``block`` tokens are chosen anew for each decode step and each
    ``span`` of a prompt; the share ``missing`` of them is not on the GPU yet.

    A token is found by ``scored`` keys of its own (a fraction: representatives of its block).
    """

    blocks: int
    block: int
    missing: float
    span: int
    scored: float


@dataclass(frozen=True, slots=True)
class Kept(Attention):
    """Attention of ``groups`` of heads, each with a cache of its own form; together they are all KV heads.

    A window here is a ring: it belongs to a sequence from its first token on (``longest`` tokens at most), whatever
    its length; what grows with the sequence lies in pages.  ``rebuild`` and ``fetch`` go with one group.
    Simplification: choosing what to keep, and (de)quantising, cost nothing beside the bytes.
    """

    groups: tuple[Heads, ...] = (Heads(),)
    rebuild: Rebuild | None = None
    fetch: Fetch | None = None
    longest: int = 1 << 62

    @property
    def windows(self) -> tuple[int, ...]:
        """Numbers of tokens at which what a step reads stops growing in some way."""
        found = {group.window for group in self.groups if group.window is not None}
        found |= {group.recent for group in self.groups if group.recent}
        if self.fetch is not None:  # a row longer than what it sees has min(n, w + 1) - min(n, w) = 1
            found |= {window + 1 for window in found}
        return tuple(sorted(found))

    def group_elements(self, group: Heads, ranks: int = 1) -> float:
        """Elements of a token in one group of heads of a rank, in the cache's format."""
        if self.rebuild is not None:
            return self.rebuild.elements
        heads = group.share * split(self.kv_heads, ranks)
        return heads * (self.head_dim * group.key + self.value * group.value)

    def step_elements(self, group: Heads, ranks: int = 1) -> float:
        """Elements that a step reads of a token in one group of heads."""
        passing = self.rebuild.passing if self.rebuild is not None else 0.0
        return self.group_elements(group, ranks) + passing

    def recent_elements(self, group: Heads, ranks: int = 1) -> float:
        """Elements that a recent token has more than an old one."""
        whole = group.share * split(self.kv_heads, ranks) * (self.head_dim + self.value)
        return max(whole - self.group_elements(group, ranks), 0.0) if group.recent else 0.0

    def index_elements_kept(self, ranks: int = 1) -> float:
        """Elements by which a token is found again, read in each step."""
        return self.fetch.scored * split(self.kv_heads, ranks) * self.head_dim if self.fetch is not None else 0.0

    def kv_elements(self, ranks: int = 1) -> int:
        """Elements that a token keeps on the GPU for good."""
        own = sum(self.group_elements(group, ranks) for group in self.groups if group.window is None)
        return ceil(own + self.index_elements_kept(ranks) - 1e-9)

    def whole_elements(self, ranks: int = 1) -> int:
        """Elements of a token's keys and values as attention without any of this keeps them."""
        return split(self.kv_heads, ranks) * (self.head_dim + self.value)

    def ring_elements(self, ranks: int = 1) -> int:
        """Elements that a sequence keeps on the GPU whatever its length."""
        total = 0.0
        for group in self.groups:
            if group.window is not None:
                total += self.group_elements(group, ranks) * min(max(group.window, group.held), self.longest)
            total += self.recent_elements(group, ranks) * min(group.recent, self.longest)
        return ceil(total - 1e-9)

    def read_elements(self, tokens: float, ranks: int = 1) -> float:
        """Elements that a decode step reads of a sequence of ``tokens``."""
        total = self.index_elements_kept(ranks) * tokens
        for group in self.groups:
            seen = tokens if group.window is None else min(tokens, group.window)
            total += self.step_elements(group, ranks) * seen
            total += self.recent_elements(group, ranks) * min(tokens, group.recent)
        return total

    def group_flop(self, group: Heads, ranks: int = 1) -> float:
        """FLOP of one (query, key) pair of a group's heads on a rank."""
        return 2 * group.share * (self.heads // ranks) * (self.head_dim * group.channels + self.value)

    def step_flop(self, tokens: float, ranks: int = 1) -> float:
        """FLOP of attention of one new token after ``tokens``, rebuilding included, on a rank."""
        total = 0.0
        for group in self.groups:
            seen = tokens if group.window is None else min(tokens, group.window)
            total += self.group_flop(group, ranks) * seen
        if self.fetch is not None:
            total += 2 * (self.heads // ranks) * self.head_dim * self.fetch.scored * tokens
        return total + self.rebuild_flop(ranks) * tokens

    def rebuild_flop(self, ranks: int = 1) -> float:
        """FLOP to make the keys and values of one cached token again, on a rank."""
        if self.rebuild is None:
            return 0.0
        return 2.0 * self.rebuild.width * split(self.kv_heads, ranks) * (self.head_dim + self.value)
