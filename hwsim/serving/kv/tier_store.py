"""The KV memory of one node below its GPUs: tiers from fast to slow, what lies where, and what has to move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hwsim.serving.kv.chunks import Chunk, chunks
from hwsim.serving.kv.tier import Move, Tier
from hwsim.serving.request import Request


class Found(NamedTuple):
    """A stretch of a prompt that lies in one tier: its chunks, and the page up to which it reaches."""

    level: int
    chunks: list[Chunk]
    end: int


class TierStore:
    """Chunks in tiers: a full tier lets its victim down to the next, and the last one drops it.

    A chunk that a lower tier holds already goes there without a copy.  One that has to be copied waits in the tier's
    staging memory until the copy has landed; without room there it is lost.  A tier may belong to several stores (a
    remote pool).  The store only keeps the books: copies appear in ``moves``, and whoever carries them calls
    ``landed``.  Main simplifications: the room of a victim is free at once for the chunk that takes its place, and
    whole chunks move, never single pages of one.
    """

    __slots__ = ("_last", "ahead", "moves", "tiers")

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.tiers = list(tiers)
        self._last: tuple[Request | None, list[Chunk]] = (None, [])
        self.ahead: dict[int, Tier] = {}  # chunks in the first tier that were fetched ahead, by the tier they lay on
        self.moves: dict[tuple[int, int], Move] = {}  # by levels, to be carried; level -1 is the GPU that asked

    def chunks(self, request: Request, page: int) -> list[Chunk]:
        """The chunks of a prompt; those of the last one asked for are remembered."""
        if self._last[0] is not request:
            self._last = (request, chunks(request, page))
        return self._last[1]

    def find(self, chunks: Sequence[Chunk], start: int, limit: int) -> list[Found]:
        """What of pages ``start <= page < limit`` lies here without a gap, each chunk in the fastest tier that has it.

        What is still on the way to a tier counts as there.
        """
        found: list[Found] = []
        tables = [tier.policy.entries for tier in self.tiers]
        page = start
        for chunk in chunks:
            if chunk.end <= page:
                continue
            best, level = 0, -1
            for number, table in enumerate(tables):
                pages = table.get(chunk.key, 0)
                if pages > best:
                    best, level = pages, number
                    if chunk.first + pages >= chunk.end:
                        break
            reach = min(chunk.first + best, limit)
            if reach <= page:
                break
            if found and found[-1].level == level:
                found[-1].chunks.append(chunk)
                found[-1] = Found(level, found[-1].chunks, reach)
            else:
                found.append(Found(level, [chunk], reach))
            page = reach
            if reach < chunk.end:
                break
        return found

    def touch(self, found: Found) -> None:
        """Chunks were used: the deepest first, so that the head of a prompt is the last to go.

        One that has gone in this very instant is read all the same.
        """
        policy = self.tiers[found.level].policy
        for chunk in reversed(found.chunks):
            if chunk.key in policy.entries:
                policy.hit(chunk.key)

    def on_top(self, found: Found) -> bool:
        """Whether the first tier holds, or is getting, all of these chunks."""
        top = self.tiers[0]
        return all(top.pages(c.key) >= min(c.end, found.end) - c.first for c in found.chunks)

    def put(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Chunks come down from a GPU as (key, pages), the one to go first in front."""
        for key, pages in chunks:
            self._put(0, key, pages, -1)

    def put_below(self, move: Move) -> None:
        """Copy what has come to a tier on to the next, where it is not yet (written through all tiers)."""
        level = self.tiers.index(move.target)
        if level + 1 < len(self.tiers):
            for key in move.keys:
                pages = move.target.pages(key)
                if pages:
                    self._put(level + 1, key, pages, level)

    def fetch_ahead(self, found: Found) -> None:
        """Copy chunks into the first tier before anybody needs them; a later hit counts for where they lay."""
        new = [chunk.key for chunk in found.chunks if not self.tiers[0].pages(chunk.key)]
        self.raise_to_top(found)
        self.ahead |= {key: self.tiers[found.level] for key in new if self.tiers[0].pages(key)}

    def count_hits(self, found: Found, start: int) -> None:
        """Chunks of a prompt are loaded from page ``start`` on."""
        tier = self.tiers[found.level]
        if found.level or not self.ahead:
            tier.hits += found.end - start
            return
        for chunk in found.chunks:
            lay = self.ahead.pop(chunk.key, tier)
            lay.hits += min(chunk.end, found.end) - max(chunk.first, start)

    def raise_to_top(self, found: Found) -> None:
        """Copy chunks of a lower tier into the first; they stay where they are, too."""
        for chunk in reversed(found.chunks):
            pages = self.tiers[found.level].pages(chunk.key)
            if pages:
                self._put(0, chunk.key, pages, found.level)

    def depth(self, chunks: Sequence[Chunk]) -> int:
        """Pages of the longest prefix that lies in any tier."""
        found = self.find(chunks, 0, 1 << 60)
        return found[-1].end if found else 0

    def take_moves(self) -> list[tuple[int, int, Move]]:
        """The copies that have to be made now, as (from level, to level, move)."""
        moves, self.moves = self.moves, {}
        return [(source, target, move) for (source, target), move in moves.items()]

    def landed(self, move: Move) -> None:
        """A copy is complete: its chunks may be read, and the staging memory it came from is free."""
        arriving = move.target.arriving
        for key in move.keys:
            if arriving.get(key) is move:
                del arriving[key]
        move.target.written += move.pages
        if move.source is not None:
            move.source.read += move.pages
            move.source.leaving -= move.owed

    # -- room ----------------------------------------------------------------------------------------------------

    def _put(self, level: int, key: int, pages: int, origin: int) -> int:
        """Bring a chunk into a tier: how many pages have to be copied, or -1 if it cannot be there."""
        tier = self.tiers[level]
        before = tier.pages(key)
        if before:
            tier.policy.hit(key)  # a longer version of it must not make room for itself
            if before >= pages:
                return 0
        if pages > tier.capacity:
            return -1
        while tier.used + pages - before > tier.capacity:
            victim = tier.policy.victim()
            if victim == key:
                before = 0
            self._let_go(level, victim)
        tier.add(key, pages)
        move = self.moves.get((origin, level))
        if move is None:
            source = self.tiers[origin] if origin >= 0 else None
            move = self.moves[origin, level] = Move(source, tier)
        move.keys.append(key)
        move.pages += pages - before
        tier.arriving[key] = move
        return pages - before

    def _let_go(self, level: int, key: int) -> None:
        """A tier gives up a chunk: to the tier below, unless one there has it; for good, below the last."""
        tier = self.tiers[level]
        arriving = key in tier.arriving
        pages = tier.remove(key)
        if not level:
            self.ahead.pop(key, None)
        for lower in self.tiers[level + 1 :]:
            if lower.pages(key) >= pages:
                self._leave_to(tier, lower, key, pages)
                return
        if level + 1 == len(self.tiers):
            tier.dropped += pages
            return
        copied = -1
        if not arriving and tier.leaving + pages <= tier.staging:
            copied = self._put(level + 1, key, pages, level)
        if copied < 0:
            tier.lost += pages
        else:
            tier.left += pages
            tier.leaving += copied
            if copied:
                self.tiers[level + 1].arriving[key].owed += copied

    @staticmethod
    def _leave_to(tier: Tier, lower: Tier, key: int, pages: int) -> None:
        """A chunk goes that a lower tier has; if its copy from here is not complete, it waits in staging memory."""
        move = lower.arriving.get(key)
        if move is not None and move.source is tier:
            if tier.leaving + pages > tier.staging:
                lower.lost += lower.remove(key)
                tier.lost += pages
                return
            tier.leaving += pages
            move.owed += pages
        lower.policy.hit(key)
        tier.left += pages
