"""Paged KV blocks, one object per block: the slow, literal bookkeeping under the reference scheduler.

Every list is scanned, every hash is computed from the token contents; nothing is shared with the package.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

Token = Hashable


@dataclass(eq=False)
class Block:
    """One KV block; ``content`` is kept beside the hash to prove that a hit holds the right tokens."""

    block_id: int
    ref_count: int = 0
    block_hash: bytes | None = None
    content: tuple[Token, ...] = ()


@dataclass(eq=False)
class BlockPool:
    """All blocks of one engine; block 0 is the null block, which nobody ever gets.

    ``free`` is the free queue, head first. A free block keeps its hash until it is taken.
    """

    num_gpu_blocks: int
    block_size: int
    enable_prefix_caching: bool
    unhashed_to_head: bool
    free: list[Block] = field(init=False)
    table: dict[bytes, list[Block]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks = [Block(i) for i in range(self.num_gpu_blocks)]
        self.free = list(self.blocks)
        self.null_block = self.free.pop(0)

    def hashes(self, tokens: Sequence[Token], num_blocks: int) -> list[bytes]:
        """Chain hashes of the first full blocks: each one covers its parent's hash and its own tokens."""
        chain, parent = [], b"root"
        for i in range(num_blocks):
            own = tuple(tokens[i * self.block_size : (i + 1) * self.block_size])
            assert len(own) == self.block_size
            parent = hashlib.sha256(parent + repr(own).encode()).digest()
            chain.append(parent)
        return chain

    def lookup(self, tokens: Sequence[Token]) -> list[Block]:
        """Longest cached prefix of full blocks, at most ``len(tokens) - 1`` tokens; of copies, the first."""
        if not self.enable_prefix_caching:
            return []
        hits = []
        for i, key in enumerate(self.hashes(tokens, (len(tokens) - 1) // self.block_size)):
            if key not in self.table:
                break
            block = self.table[key][0]
            assert block.content == tuple(tokens[i * self.block_size : (i + 1) * self.block_size])
            hits.append(block)
        return hits

    def touch(self, blocks: Iterable[Block]) -> None:
        """One more owner for each block; a free one leaves the free queue."""
        for block in blocks:
            if block.ref_count == 0:
                self.free.remove(block)
            block.ref_count += 1

    def take(self, count: int) -> list[Block]:
        """``count`` blocks from the head of the free queue; their hashes, if any, are evicted now."""
        taken = []
        for _ in range(count):
            block = self.free.pop(0)
            if block.block_hash is not None:
                copies = self.table[block.block_hash]
                copies.remove(block)
                if not copies:
                    del self.table[block.block_hash]
                block.block_hash, block.content = None, ()
            block.ref_count = 1
            taken.append(block)
        return taken

    def cache(self, tokens: Sequence[Token], blocks: Sequence[Block], num_tokens: int) -> None:
        """Enter the full blocks among the first ``num_tokens`` tokens; a block that has a hash keeps it."""
        if not self.enable_prefix_caching:
            return
        for i, key in enumerate(self.hashes(tokens, num_tokens // self.block_size)):
            block = blocks[i]
            if block.block_hash is None:
                block.block_hash = key
                block.content = tuple(tokens[i * self.block_size : (i + 1) * self.block_size])
                self.table.setdefault(key, []).append(block)
            assert block.block_hash == key

    def release(self, blocks: Sequence[Block]) -> None:
        """Give up one reference to each block, last block of the sequence first."""
        for block in reversed(blocks):
            block.ref_count -= 1
            if block.ref_count > 0:
                continue
            if block.block_hash is None and self.unhashed_to_head:
                self.free.insert(0, block)
            else:
                self.free.append(block)

    def check(self, held: Iterable[Sequence[Block]]) -> None:
        """Assert that free and held blocks partition the pool and that every count and hash is right."""
        owners: Counter[int] = Counter()
        for blocks in held:
            ids = [block.block_id for block in blocks]
            assert len(ids) == len(set(ids)), "a request holds a block twice"
            owners.update(ids)
        free_ids = [block.block_id for block in self.free]
        assert len(free_ids) == len(set(free_ids)), "a block is in the free queue twice"
        assert len(free_ids) + len(owners) == self.num_gpu_blocks - 1, "blocks are lost"
        assert 0 not in owners and 0 not in free_ids and self.null_block.block_hash is None
        for block in self.blocks:
            assert block.ref_count == owners[block.block_id], "wrong reference count"
            assert (block.block_id in free_ids) == (block.ref_count == 0 and block.block_id != 0)
            if block.block_hash is not None:
                assert block in self.table[block.block_hash]
        assert sum(map(len, self.table.values())) == sum(b.block_hash is not None for b in self.blocks)
