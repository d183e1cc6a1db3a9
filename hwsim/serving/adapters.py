"""LoRA adapters on one replica: a few on the GPU, the others fetched when a request first needs them.

A request goes to the engine when its adapter is there; until then it waits outside, and those behind it do not.
Adapters that no unfinished request uses may be replaced, the least recently used first.  Simplification: fetches are
not limited in number beyond the places that are free.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from hwsim.serving.request import Request


class AdapterCache:
    """``most`` places; ``load(adapter, on_done)`` moves the weights of one to the GPUs."""

    def __init__(self, most: int, load: Callable[[int, Callable[[], object]], None]) -> None:
        self.most = most
        self.load = load
        self.there: OrderedDict[int, int] = OrderedDict()  # resident, the last used last: unfinished requests of each
        self.coming: dict[int, list[Request]] = {}  # under way, and who waits for it
        self.blocked: deque[tuple[int, Request]] = deque()  # no place yet
        self.hits = 0
        self.loads = 0

    def want(self, adapter: int, request: Request, ready: Callable[[Request], None]) -> bool:
        """True if the adapter is there; otherwise ``ready(request)`` is called once it has come."""
        if adapter in self.there:
            self.hits += 1
            self.there[adapter] += 1
            self.there.move_to_end(adapter)
            return True
        if adapter in self.coming:
            self.coming[adapter].append(request)
        elif self._room():
            self._fetch(adapter, request, ready)
        else:
            self.blocked.append((adapter, request))
        return False

    def release(self, adapter: int, ready: Callable[[Request], None]) -> None:
        """A request that used ``adapter`` has ended; whoever waits for a place may get one."""
        if self.there.get(adapter, 0):
            self.there[adapter] -= 1
        waiting, self.blocked = self.blocked, deque()
        for wanted, request in waiting:
            if self.want(wanted, request, ready):
                ready(request)

    def _room(self) -> bool:
        """Whether a place is free, after giving up the least recently used adapter that nobody uses."""
        if len(self.there) + len(self.coming) < self.most:
            return True
        idle = next((adapter for adapter, users in self.there.items() if not users), None)
        if idle is None:
            return False
        del self.there[idle]
        return True

    def _fetch(self, adapter: int, request: Request, ready: Callable[[Request], None]) -> None:
        self.coming[adapter] = [request]
        self.loads += 1

        def arrived() -> None:
            waiting = self.coming.pop(adapter, [])
            self.there[adapter] = len(waiting)
            for each in waiting:
                ready(each)

        self.load(adapter, arrived)
