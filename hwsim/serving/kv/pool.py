"""The paged KV pool of one replica: counts of pages, the free queue as runs, and the prefix index."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from hwsim.serving.kv.chunks import chained, chains
from hwsim.serving.kv.runs import Copy, Node, Run
from hwsim.serving.request import Request


class PagePool:
    """vLLM's block pool on runs of pages: what matters is how many pages move and which cached ones are lost.

    The free queue is a stack of pages without content (``blank``; unhashed pages go to its head and are reused first)
    followed by a queue of runs that still hold cached content, least recently released first.  Page 0 is the null
    block, so ``usable = num_gpu_blocks - 1``.  Every operation costs O(runs touched), never O(pages).

    ``on_evict(node, low, high)``, where given, hears of every content that is lost (to write it to a tier, say).

    Laws: ``free + held == usable`` and ``cached == free - blank`` (cached pages are free pages with content).
    Source of the rules: vLLM 0.33 ``v1/core/block_pool.py`` and ``kv_cache_manager.py`` as described in its docs.
    """

    __slots__ = (
        "blank",
        "block_size",
        "caching",
        "counts",
        "evicted",
        "free",
        "index",
        "on_evict",
        "queue",
        "tail",
        "unhashed_first",
        "usable",
    )

    def __init__(
        self,
        num_gpu_blocks: int,
        block_size: int,
        *,
        enable_prefix_caching: bool = True,
        unhashed_first: bool = True,
    ) -> None:
        self.block_size = block_size
        self.usable = num_gpu_blocks - 1
        self.free = self.usable
        self.blank = self.usable
        self.caching = enable_prefix_caching
        self.counts = (
            enable_prefix_caching and unhashed_first
        )  # without content to be found again pages are mere counts
        self.unhashed_first = unhashed_first
        self.index: dict[int, Node] = {}
        self.queue: OrderedDict[Run, None] = OrderedDict()
        self.tail: Run | None = None  # the last run of the queue, if nobody can ask for its pages again
        self.evicted = 0
        self.on_evict: Callable[[Node, int, int], None] | None = None  # node, low, high: pages that lose their content

    def fresh(self) -> PagePool:
        """An empty pool like this one."""
        return type(self)(
            self.usable + 1,
            self.block_size,
            enable_prefix_caching=self.caching,
            unhashed_first=self.unhashed_first,
        )

    @property
    def held(self) -> int:
        """Pages that running requests hold."""
        return self.usable - self.free

    @property
    def cached(self) -> int:
        """Free pages behind the blank ones in the queue: they hold content (with 0.11's queue some are blank too)."""
        return self.free - self.blank

    def settle(self, free: int, blank: int, evicted: int) -> None:
        """Take over the counts of somebody who kept them while pages were mere counts; ``evicted`` more were lost."""
        self.free, self.blank = free, blank
        self.evicted += evicted
        tail = self.tail
        if tail is not None:
            tail.hi = tail.lo + free - blank
        elif free > blank:
            self.lose(free - blank)

    # -- taking and releasing ------------------------------------------------------------------------------------

    def take(self, pages: int) -> None:
        """Take ``pages`` from the head of the free queue; cached content that is taken is lost."""
        self.free -= pages
        blank = self.blank
        if pages <= blank:
            self.blank = blank - pages
            return
        pages -= blank
        self.blank = 0
        self.evicted += pages
        queue, tail = self.queue, self.tail
        if tail is not None and len(queue) == 1 and tail.hi - tail.lo > pages:  # nothing that anybody could ask for
            tail.hi -= pages
            return
        while pages:
            run = next(iter(queue))
            size = run.hi - run.lo
            if size > pages:
                run.hi -= pages
                if self.on_evict is not None and run.copy is not None:
                    self.on_evict(run.copy.node, run.hi, run.hi + pages)
                return
            pages -= size
            del queue[run]
            if run.copy is not None:
                if self.on_evict is not None:
                    self.on_evict(run.copy.node, run.lo, run.hi)
                self._forget(run)
            elif run is self.tail:
                self.tail = None

    def _forget(self, run: Run) -> None:
        copy = run.copy
        assert copy is not None
        copy.runs.remove(run)
        if not copy.runs:
            node = copy.node
            node.copies.remove(copy)
            if not node.copies and node.chains and self.index.get(node.chains[0]) is node:
                del self.index[node.chains[0]]

    def release(self, request: Request, hashed_tokens: int, *, may_return: bool = False) -> None:
        """Return all pages of ``request``, tail first: unhashed to the head of the queue, hashed to its tail.

        ``hashed_tokens`` is how many leading tokens had their full pages entered in the table.  With ``may_return``
        (pre-emption) the request's own unshared pages stay findable for it until somebody takes them.
        """
        pages, registered = request.pages, request.registered
        own = max(hashed_tokens // self.block_size - registered, 0) if self.caching else 0
        self.free += pages - registered
        blank = pages - registered - own
        if self.unhashed_first:
            self.blank += blank
        elif blank:
            self.lose(blank)
        if own:
            self._queue_own(request, own, may_return)
        if registered:
            self._release_shared(request)
        request.pages = request.registered = 0

    def lose(self, pages: int) -> None:
        """Pages that nobody can ask for again: only their number and their place in the queue matter."""
        if self.tail is not None:
            self.tail.hi += pages
        else:
            self.tail = run = Run(None, 0, pages, 0)
            self.queue[run] = None

    def _queue_own(self, request: Request, pages: int, may_return: bool) -> None:
        if not may_return:
            self.lose(pages)
            return
        node = request.private
        if node is None:
            node = request.private = Node([])
        shared = 0
        if request.prefix_ids is not None:
            shared = min(len(request.prefix_ids) * request.prefix_block, request.prompt_tokens) // self.block_size
        copy = Copy(node)
        run = Run(copy, request.registered - shared, request.registered - shared + pages, 0)
        copy.runs.append(run)
        node.copies.append(copy)
        self.queue[run] = None
        self.tail = None

    def _release_shared(self, request: Request) -> None:
        assert request.holds is not None
        queue = self.queue
        for copy, low, high in reversed(request.holds):
            for run in reversed(copy.runs):
                if low <= run.lo and run.hi <= high:
                    run.ref -= 1
                    if not run.ref:
                        self.free += run.hi - run.lo
                        queue[run] = None
                        self.tail = None
        request.holds = None

    # -- the prefix index ----------------------------------------------------------------------------------------

    def lookup(self, request: Request, limit: int) -> tuple[int, int, list[list]]:
        """The longest cached prefix of at most ``limit`` pages: (pages, how many of them lie in the queue, holds)."""
        pages = idle = 0
        holds: list[list] = []
        if not self.caching or (request.prefix_ids is None and request.private is None):
            return 0, 0, holds
        for node, low, high in self._nodes(request):
            page = low
            while page < high and page < limit and node is not None:
                found = node.covering(page - low)
                if found is None:
                    break
                copy, end = found
                end = min(end + low, high, limit)
                holds.append([copy, page - low, end - low])
                idle += sum(
                    min(run.hi, end - low) - max(run.lo, page - low)
                    for run in copy.runs
                    if not run.ref and run.hi > page - low and run.lo < end - low
                )
                page = end
            pages += page - low
            if page < high:
                break
        return pages, idle, holds

    def _nodes(self, request: Request):
        """The nodes of a request in order, as (node or None, first page, end page); its private pages come last."""
        start = 0
        if request.prefix_ids is not None:
            index, size = self.index, self.block_size
            block, last = request.prefix_block, request.prompt_tokens // size
            names, place = chains(request), 0
            count = len(names)
            while place < count:
                node = index.get(names[place])
                place += 1 if node is None else node.match(names, place)
                end = min(place * block // size, last)
                if end > start:
                    yield node, start, end
                    start = end
        if request.private is not None:
            yield request.private, start, 1 << 60

    def touch(self, request: Request, pages: int, holds: list[list]) -> None:
        """Hold the hit pages: they leave the queue, wherever in it they are."""
        for copy, low, high in holds:
            self._split_inside(copy, low)
            copy.split(high)
            for run in copy.runs:
                if low <= run.lo and run.hi <= high:
                    if not run.ref:
                        self.queue.pop(run, None)
                        self.free -= run.hi - run.lo
                    run.ref += 1
        request.holds = holds
        request.pages = request.registered = pages

    def _split_inside(self, copy: Copy, page: int) -> None:
        """Make ``page`` a boundary where the shallow part stays in the queue (two copies overlap: rare, O(queue))."""
        for run in copy.runs:
            if run.lo < page < run.hi:
                copy.split(page)
                if not run.ref:
                    shallow = copy.runs[copy.runs.index(run) - 1]
                    order = list(self.queue)
                    order.insert(order.index(run) + 1, shallow)
                    self.queue = OrderedDict.fromkeys(order)
                return

    def register(self, request: Request, tokens: int) -> None:
        """Enter the full pages of the first ``tokens`` tokens in the index, before anything has computed them."""
        if request.prefix_ids is not None and self.caching:
            self._register(request, chains(request), min(tokens, request.prompt_tokens))

    def _register(self, request: Request, names: list[int], tokens: int) -> None:
        index, size, block = self.index, self.block_size, request.prefix_block
        done, count = request.registered, len(names)
        full = min(tokens, count * block) // size
        start = place = 0
        while done < full:
            node = index.get(names[place])
            upto = self._unknown(names, place) if node is None else place + node.match(names, place)
            end = upto * block // size
            if end > done:
                if node is None:
                    node = index[names[place]] = Node(names[place:upto], place, block)
                end = min(end, full)
                self._enter(request, node, done - start, end - start)
                done = end
            place, start = upto, upto * block // size
        request.registered = done

    def _unknown(self, names: list[int], place: int) -> int:
        """The block before which a new node that begins with block ``place`` ends: the next one with a node."""
        index = self.index
        if index.keys().isdisjoint(names[place:]):
            return len(names)
        return next(i for i in range(place + 1, len(names)) if names[i] in index)

    def register_answer(self, request: Request, tokens: int) -> None:
        """Enter the full pages of a finished request's answer, too: the next turn of its session begins with them."""
        if request.private is None and self.caching:  # what survived a pre-emption is known to it alone
            self._register(request, chained(request.answer_ids or ()), tokens)

    def _enter(self, request: Request, node: Node, low: int, high: int) -> None:
        """Pages ``low <= page < high`` of a node as ``request`` computes them: its own copy, which may grow."""
        if request.holds is None:
            request.holds = []
        mine = request.holds[-1] if request.holds else None
        if mine is not None and mine[2] == low and node.copies:
            copy = mine[0]
            last = copy.runs[-1]
            # a copy grows only while it is the youngest: the table returns whichever page was entered first
            if node.copies[-1] is copy and last.hi == low and last.ref == 1:
                copy.runs[-1].hi = mine[2] = high
                return
        copy = Copy(node)
        copy.runs.append(Run(copy, low, high, 1))
        node.copies.append(copy)
        request.holds.append([copy, low, high])
