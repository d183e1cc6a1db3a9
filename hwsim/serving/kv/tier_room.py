"""Room in tiers: what comes in pushes out what is oldest, down to the next tier or for good, in runs of chunks."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.serving.kv.tier import Move, Tier


class TierRoom:
    """The tiers of a store from fast to slow, and the copies that follow from what is brought into them.

    Chunks that come together mostly go together: where a policy goes by order alone (it has ``pop``), a run of chunks
    that a tier does not hold is one change of its books, equal to theirs one after the other.
    """

    __slots__ = ("ahead", "moves", "tables", "tiers")

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.tiers = list(tiers)
        self.tables = [(level, tier.policy.entries) for level, tier in enumerate(tiers)]
        self.ahead: dict[int, Tier] = {}  # chunks in the first tier that were fetched ahead, by the tier they lay on
        self.moves: dict[tuple[int, int], Move] = {}  # by levels, to be carried; level -1 is the GPU that asked

    def bring(self, level: int, keys: Sequence[int], pages: Sequence[int], origin: int) -> None:
        """Bring chunks into a tier one after the other; those that are new there follow each other in runs."""
        entries, count = self.tiers[level].policy.entries, len(keys)
        runs = hasattr(self.tiers[level].policy, "pop")
        if runs and count > 1 and entries.keys().isdisjoint(keys) and self._bring_run(level, keys, pages, origin):
            return
        number = 0
        while number < count:
            end = number + 1
            if runs and keys[number] not in entries:
                while end < count and keys[end] not in entries:
                    end += 1
            if 1 < end - number < count and self._bring_run(level, keys[number:end], pages[number:end], origin):
                number = end
                continue
            for place in range(number, end):
                self.bring_one(level, keys[place], pages[place], origin)
            number = end

    def _bring_run(self, level: int, keys: Sequence[int], pages: Sequence[int], origin: int) -> bool:
        """``bring_one`` for chunks that a tier does not hold; False, with nothing done, if they do not fit at once."""
        tier = self.tiers[level]
        new, total, room = dict(zip(keys, pages, strict=True)), sum(pages), tier.capacity
        if len(new) < len(keys) or total > room:
            return False
        used, peak, pop, first = tier.used, tier.peak, tier.policy.pop, True  # type: ignore[attr-defined]
        if used + total > room:
            victims: list[tuple[int, int]] = []
            for size in pages:
                used += size
                while used > room:
                    victim = pop()
                    victims.append(victim)
                    used -= victim[1]
                if used > peak:
                    peak = used
                if first:  # copies begin in the order in which chunks ask for them
                    first = False
                    self._let_go_run(level, victims)
                    victims = []
                    self._move(origin, level)
            self._let_go_run(level, victims)
        else:
            used += total
            peak = max(peak, used)
        tier.policy.entries.update(new)
        tier.used, tier.peak = used, peak
        tier.stored += total
        move = self._move(origin, level)
        move.keys += keys
        move.pages += total
        tier.arriving.update(dict.fromkeys(keys, move))
        return True

    def _let_go_run(self, level: int, victims: list[tuple[int, int]]) -> None:
        """``_let_go`` for chunks that are out of the tier already: those that have to be copied go in runs."""
        tier, last = self.tiers[level], level + 1 == len(self.tiers)
        keys = [key for key, _ in victims]
        if tier.arriving.keys().isdisjoint(keys) and (level or not self.ahead):
            if last:
                tier.dropped += sum([size for _, size in victims])
                return
            if all(table.keys().isdisjoint(keys) for _, table in self.tables[level + 1 :]):
                self._down(level, keys, [size for _, size in victims])
                return
        keys = []
        pages: list[int] = []
        for key, size in victims:
            arriving = bool(tier.arriving) and tier.arriving.pop(key, None) is not None
            if self.ahead and not level:
                self.ahead.pop(key, None)
            if last:
                tier.dropped += size
                continue
            if self._below(level, key, size) is None and not arriving:
                keys.append(key)
                pages.append(size)
                continue
            if keys:
                self._down(level, keys, pages)
                keys, pages = [], []
            lower = self._below(level, key, size)  # it may have gone meanwhile
            if lower is not None:
                self._leave_to(tier, lower, key, size)
            elif arriving:
                tier.lost += size
            else:
                self._down(level, [key], [size])
        if keys:
            self._down(level, keys, pages)

    def _below(self, level: int, key: int, pages: int) -> Tier | None:
        """The lower tier that has all of a chunk."""
        for place, table in self.tables[level + 1 :]:
            if table.get(key, 0) >= pages:
                return self.tiers[place]
        return None

    def _down(self, level: int, keys: list[int], pages: list[int]) -> None:
        """Copy chunks that a tier has given up to the next, as far as there is staging memory."""
        tier, lower = self.tiers[level], self.tiers[level + 1]
        total = sum(pages)
        runs = len(keys) > 1 and hasattr(lower.policy, "pop") and lower.policy.entries.keys().isdisjoint(keys)
        if runs and tier.leaving + total <= tier.staging and self._bring_run(level + 1, keys, pages, level):
            tier.left += total
            tier.leaving += total
            self.moves[level, level + 1].owed += total
            return
        for key, size in zip(keys, pages, strict=True):
            copied = -1
            if tier.leaving + size <= tier.staging:
                copied = self.bring_one(level + 1, key, size, level)
            if copied < 0:
                tier.lost += size
                continue
            tier.left += size
            tier.leaving += copied
            if copied:
                lower.arriving[key].owed += copied

    def _move(self, origin: int, level: int) -> Move:
        """The copy that is to be made between two levels."""
        move = self.moves.get((origin, level))
        if move is None:
            source = self.tiers[origin] if origin >= 0 else None
            move = self.moves[origin, level] = Move(source, self.tiers[level])
        return move

    def bring_one(self, level: int, key: int, pages: int, origin: int) -> int:
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
        move = self._move(origin, level)
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
        lower = self._below(level, key, pages)
        if lower is not None:
            self._leave_to(tier, lower, key, pages)
        elif level + 1 == len(self.tiers):
            tier.dropped += pages
        elif arriving:
            tier.lost += pages
        else:
            self._down(level, [key], [pages])

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
