"""Runs of cached pages: the prefix index holds stretches of equal pages, not single pages."""

from __future__ import annotations


class Run:
    """Pages ``lo <= page < hi`` of one physical copy with one reference count; ``ref == 0`` means it is in the queue.

    Pages of a run are released together and evicted from the deep end (``hi``), as vLLM returns a request's blocks
    tail first; so what is left of a run is always its shallow part.  ``copy`` is None for pages that nobody can ask
    for again (a finished request's own text), which are kept only for their place in the queue.
    """

    __slots__ = ("copy", "hi", "lo", "ref")

    def __init__(self, copy: Copy | None, lo: int, hi: int, ref: int) -> None:
        self.copy = copy
        self.lo = lo
        self.hi = hi
        self.ref = ref


class Copy:
    """One physical copy of some pages of a node, in runs from shallow to deep."""

    __slots__ = ("node", "runs")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.runs: list[Run] = []

    def split(self, page: int) -> None:
        """Make ``page`` a boundary between runs; the deep part keeps its object and so its place in the queue."""
        for i, run in enumerate(self.runs):
            if run.lo < page < run.hi:
                self.runs.insert(i, Run(self, run.lo, page, run.ref))
                run.lo = page
                return

    def reach(self, run: Run) -> int:
        """The end of the gapless pages from ``run`` on."""
        end = run.hi
        for other in self.runs[self.runs.index(run) + 1 :]:
            if other.lo != end:
                break
            end = other.hi
        return end


class Node:
    """Pages that one prefix id names, or several that followed each other when they were first computed.

    ``chains`` are the names of the blocks, of ``block`` tokens each; the first is block ``place`` of a prompt and the
    node's key in the index.  Copies are in order of age, the first inserted is the one that a lookup returns.
    """

    __slots__ = ("block", "chains", "copies", "place")

    def __init__(self, chains: list[int], place: int = 0, block: int = 0) -> None:
        self.chains = chains
        self.place = place
        self.block = block
        self.copies: list[Copy] = []

    def match(self, chains: list[int], place: int) -> int:
        """How many of its blocks a prompt has from block ``place`` on (the first is known to be equal)."""
        mine = self.chains
        most = min(len(mine), len(chains) - place)
        if mine[:most] == chains[place : place + most]:
            return most
        low, high = 1, most - 1  # equal up to low, not up to high + 1: equal chains have equal ones before them
        while low < high:
            middle = (low + high + 1) >> 1
            if mine[middle - 1] == chains[place + middle - 1]:
                low = middle
            else:
                high = middle - 1
        return low

    def covering(self, page: int) -> tuple[Copy, int] | None:
        """The first copy that still holds ``page`` and the end of the pages it can serve from there."""
        end = 1 << 60
        for copy in self.copies:
            for run in copy.runs:
                if run.lo <= page < run.hi:
                    return copy, min(end, copy.reach(run))
                if run.lo > page:
                    end = min(end, run.lo)  # an older copy takes over there
        return None
