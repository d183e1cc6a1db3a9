"""The KV memory of one node below its GPUs: tiers from fast to slow, what lies where, and what has to move."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from hwsim.serving.kv.chunks import Chunks, chunks
from hwsim.serving.kv.tier import Move, Tier
from hwsim.serving.kv.tier_room import TierRoom
from hwsim.serving.request import Request


class Found(NamedTuple):
    """A stretch of a prompt that lies in one tier: chunks ``low <= number < high``, up to page ``end``."""

    level: int
    prompt: Chunks
    low: int
    high: int
    end: int

    @property
    def keys(self) -> list[int]:
        """The names of its chunks."""
        return self.prompt.keys[self.low : self.high]

    def spans(self, start: int) -> list[tuple[int, int]]:
        """(key, pages) of each chunk from page ``start`` on, as far as this stretch reaches."""
        ends = self.prompt.ends
        found, page = [], max(start, self.prompt.first(self.low))
        for number in range(self.low, self.high):
            end = min(ends[number], self.end)
            found.append((self.prompt.keys[number], end - page))
            page = end
        return found


class TierStore(TierRoom):
    """Chunks in tiers: a full tier lets its victim down to the next, and the last one drops it.

    A chunk that a lower tier holds already goes there without a copy.  One that has to be copied waits in the tier's
    staging memory until the copy has landed; without room there it is lost.  A tier may belong to several stores (a
    remote pool).  The store only keeps the books: copies appear in ``moves``, and whoever carries them calls
    ``landed``.  Main simplifications: the room of a victim is free at once for the chunk that takes its place, and
    whole chunks move, never single pages of one.
    """

    __slots__ = ("_last",)

    def __init__(self, tiers: Sequence[Tier]) -> None:
        super().__init__(tiers)
        self._last: tuple[Request | None, Chunks] = (None, Chunks([], []))

    def chunks(self, request: Request, page: int) -> Chunks:
        """The chunks of a prompt; those of the last one asked for are remembered."""
        if self._last[0] is not request:
            self._last = (request, chunks(request, page))
        return self._last[1]

    def find(self, prompt: Chunks, start: int, limit: int) -> list[Found]:
        """What of pages ``start <= page < limit`` lies here without a gap, each chunk in the fastest tier that has it.

        What is still on the way to a tier counts as there.
        """
        found: list[Found] = []
        keys, ends = prompt.keys, prompt.ends
        if not self.tables:
            return found
        get, lower = self.tables[0][1].get, self.tables[1:]
        number = low = bisect_right(ends, start)
        page, last = start, -1
        first = ends[number - 1] if number else 0
        for end in ends[number:]:
            best, level = get(keys[number], 0), 0
            if first + best < end:
                for place, table in lower:
                    pages = table.get(keys[number], 0)
                    if pages > best:
                        best, level = pages, place
                        if first + pages >= end:
                            break
            reach = first + best
            if reach > limit:
                reach = limit
            if reach <= page:
                break
            if level != last:
                if last >= 0:
                    found.append(Found(last, prompt, low, number, page))
                last, low = level, number
            number += 1
            page = reach
            if reach < end:
                break
            first = end
        if last >= 0:
            found.append(Found(last, prompt, low, number, page))
        return found

    def touch(self, found: Found) -> None:
        """Chunks were used: the deepest first, so that the head of a prompt is the last to go.

        One that has gone in this very instant is read all the same.
        """
        policy = self.tiers[found.level].policy
        entries, hit = policy.entries, policy.hit
        for key in reversed(found.keys):
            if key in entries:
                hit(key)

    def on_top(self, found: Found) -> bool:
        """Whether the first tier holds, or is getting, all of these chunks."""
        top, ends, page = self.tiers[0].policy.entries, found.prompt.ends, found.prompt.first(found.low)
        for number in range(found.low, found.high):
            if top.get(found.prompt.keys[number], 0) < min(ends[number], found.end) - page:
                return False
            page = ends[number]
        return True

    def put(self, keys: Sequence[int], pages: Sequence[int]) -> None:
        """Chunks come down from a GPU, the one to go first in front."""
        self.bring(0, keys, pages, -1)

    def put_below(self, move: Move) -> None:
        """Copy what has come to a tier on to the next, where it is not yet (written through all tiers)."""
        level = self.tiers.index(move.target)
        if level + 1 < len(self.tiers):
            entries = move.target.policy.entries
            here = [key for key in move.keys if key in entries]
            self.bring(level + 1, here, [entries[key] for key in here], level)

    def fetch_ahead(self, found: Found) -> None:
        """Copy chunks into the first tier before anybody needs them; a later hit counts for where they lay."""
        new = [key for key in found.keys if not self.tiers[0].pages(key)]
        self.raise_to_top(found)
        self.ahead |= {key: self.tiers[found.level] for key in new if self.tiers[0].pages(key)}

    def count_hits(self, found: Found, start: int) -> None:
        """Chunks of a prompt are loaded from page ``start`` on."""
        tier = self.tiers[found.level]
        if found.level or not self.ahead:
            tier.hits += found.end - start
            return
        for key, pages in found.spans(start):
            self.ahead.pop(key, tier).hits += pages

    def raise_to_top(self, found: Found) -> None:
        """Copy chunks of a lower tier into the first; they stay where they are, too, unless what it lets go pushes."""
        for key in reversed(found.keys):
            pages = self.tiers[found.level].pages(key)
            if pages:
                self.bring_one(0, key, pages, found.level)

    def depth(self, prompt: Chunks) -> int:
        """Pages of the longest prefix that lies in any tier."""
        found = self.find(prompt, 0, 1 << 60)
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
