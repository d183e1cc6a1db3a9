"""Physical memory behind contiguous KV: which pages are mapped in which request's place, and what the driver does."""

from __future__ import annotations

from bisect import bisect_left, insort

from hwsim.serving.kv.pool import PagePool
from hwsim.serving.request import Request


class Slots:
    """Places of contiguous virtual memory, one per running request, and the pages that are mapped in them.

    A page here is a page-group in each of the KV tensors.  With ``deferred`` reclamation the pages of a request
    that ends stay mapped in its place; the next request takes the place with the fewest pages that suffice, or else
    with the most, and only what it grows beyond them is mapped anew.  When no page is free of a mapping, one is taken
    out of an idle place (the one with the most), or else out of what a running request has not grown into yet.

    ``ahead``: pages that are mapped in the background in one idle place more, wherever some are free of a mapping.

    Law: ``used + kept <= usable``, where ``kept`` pages are mapped but not used.
    """

    __slots__ = (
        "_ahead",
        "_deferred",
        "_idle",
        "_mapped",
        "_used",
        "kept",
        "maps",
        "pending",
        "reused",
        "unmaps",
        "usable",
        "used",
    )

    def __init__(self, usable: int, *, deferred: bool, ahead: int = 0) -> None:
        self.usable = usable
        self._deferred = deferred
        self._ahead = ahead
        self.maps = self.unmaps = self.reused = 0  # pages, over the whole run
        self.clear()

    def clear(self) -> None:
        """Nobody is here and nothing is mapped: the process begins anew."""
        self._idle: list[int] = []  # pages mapped in each idle place, ascending
        self._mapped: dict[Request, int] = {}
        self._used: dict[Request, int] = {}
        self.used = self.kept = 0
        self.pending = 0  # pages mapped or unmapped that a step must still wait for
        self._prepare()

    @property
    def idle(self) -> int:
        """Pages that are mapped in idle places."""
        return sum(self._idle)

    def assign(self, request: Request, pages: int, prompt: int) -> None:
        """``request`` begins with ``pages`` of the pages of its ``prompt``; its step waits for what its place lacks."""
        mapped = 0
        if self._idle:
            place = min(bisect_left(self._idle, prompt), len(self._idle) - 1)
            mapped = self._idle.pop(place)
        self._mapped[request], self._used[request] = mapped, 0
        self.pending += self.grow(request, pages)
        if self._ahead:
            self._prepare()

    def _prepare(self) -> None:
        """Map some pages in the idle place that has the most, if it has fewer than asked for."""
        most = self._idle.pop() if self._idle else 0
        more = max(min(self._ahead - most, self.usable - self.used - self.kept), 0)
        self.maps += more
        self.kept += more
        if most + more:
            insort(self._idle, most + more)

    def grow(self, request: Request, pages: int) -> int:
        """``request`` uses ``pages`` more pages; returns how many the driver must map, or unmap elsewhere before."""
        ready = min(self._mapped[request] - self._used[request], pages)
        self._used[request] += ready
        self.used += ready
        self.kept -= ready
        self.reused += ready
        lacking = pages - ready
        if lacking:
            short = max(self.used + lacking + self.kept - self.usable, 0)
            if short:
                self._take_away(short)
            self._mapped[request] += lacking
            self._used[request] += lacking
            self.used += lacking
            self.maps += lacking
            lacking += short
        return lacking

    def _take_away(self, pages: int) -> None:
        """Unmap pages that nobody uses."""
        self.unmaps += pages
        self.kept -= pages
        while pages and self._idle:
            most = self._idle.pop()
            taken = min(most, pages)
            pages -= taken
            if most > taken:
                insort(self._idle, most - taken)
        for request in reversed(self._mapped):
            if not pages:
                return
            taken = min(self._mapped[request] - self._used[request], pages)
            self._mapped[request] -= taken
            pages -= taken

    @property
    def held(self) -> int:
        """Pages that are mapped anywhere."""
        return sum(self._mapped.values()) + self.idle

    def release(self, request: Request) -> None:
        """The request leaves its place."""
        mapped, used = self._mapped.pop(request), self._used.pop(request)
        self.used -= used
        if self._deferred:
            self.kept += used
            if mapped:
                insort(self._idle, mapped)
            return
        self.kept -= mapped - used
        self.unmaps += mapped
        self.pending += mapped


class MappedPool(PagePool):
    """The pages of an engine whose KV is contiguous: no page is shared, and what a request leaves goes to its place."""

    __slots__ = ("slots",)

    def __init__(self, num_gpu_blocks: int, block_size: int, slots: Slots) -> None:
        super().__init__(num_gpu_blocks, block_size, enable_prefix_caching=False)
        self.slots = slots

    def fresh(self) -> MappedPool:
        """An empty pool like this one."""
        self.slots.clear()
        return MappedPool(self.usable + 1, self.block_size, self.slots)

    def release(self, request: Request, hashed_tokens: int, *, may_return: bool = False) -> None:
        """Return all pages of ``request``; nobody finds their content again."""
        self.slots.release(request)
        super().release(request, 0)
