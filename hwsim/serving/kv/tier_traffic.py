"""The copies between GPUs and the tiers of their nodes: who waits for what, and what goes down when."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.clock import Clock
from hwsim.serving.coupled import Coupled
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.kv.lane import Lane
from hwsim.serving.kv.tier import Described, Move
from hwsim.serving.kv.tier_connector import TierConnector
from hwsim.serving.kv.tier_store import Found, TierStore
from hwsim.serving.kv.watched_pool import WatchedPool
from hwsim.serving.request import Request

GPU = -1


@dataclass(frozen=True)
class Rules:
    """How KV moves.

    ``write``: ``back`` copies chunks down when the GPU or a tier gives them up, ``through`` to all tiers, one after the
    other, when a prompt has been computed, and when an answer has been given that a session goes on from.
    ``fetch``: ``on_demand`` begins to load when the scheduler has reached a request and its pages are taken,
    ``while_queued`` brings what lies on slow tiers into the first one from its arrival on, ``layerwise`` lets a
    request go on as soon as what is still missing comes in time for its layer.
    """

    write: str = "through"
    fetch: str = "on_demand"
    layers: int = 1
    least_prefetch: int = 0  # pages that must lie on slow tiers before they are fetched ahead


class Load:
    """A request that waits for pieces of its prompt."""

    __slots__ = ("left", "number", "request")

    def __init__(self, number: int, request: Request, pieces: int) -> None:
        self.number = number
        self.request = request
        self.left = pieces


class Traffic:
    """All copies of KV between the engines of one job and their stores.

    Every engine has one lane up from each tier and one lane down; every store one lane between each two tiers that
    chunks pass.  What lies on a tier that only reaches the GPU through host memory (``staged``) is copied into the
    first tier, and from there to the GPU.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        connectors: Sequence[TierConnector],
        lane: Callable[[TierStore, int, int, int], Lane],
        staged: Sequence[bool],
        rules: Rules,
        clock: Clock,
    ) -> None:
        """``lane(store, engine, source, target)`` makes a lane; levels are those of the store, ``GPU`` is -1."""
        self.engines: list[Engine | Coupled] = list(engines)
        self.connectors = list(connectors)
        self.staged = list(staged)
        self.rules = rules
        self.clock = clock
        self.arrived: Callable[[int, int], object] = lambda number, time: None
        self.complete: Callable[[int, Request, int], object] = self._arrives  # what a request waited for is here
        self.computed: Callable[[int, Request], object] | None = None  # a prompt has been entered
        self.lost: Callable[[int, Sequence[int]], object] | None = None  # a GPU begins to lose chunks
        self.described: list[Described] = []
        self._make = lane
        self._lanes: dict[tuple[int, int, int, int], Lane] = {}
        self._computed: list[list[tuple[int, Request]]] = [[] for _ in engines]
        self._loads: dict[Request, Load] = {}
        for number, connector in enumerate(connectors):
            connector.number = number
            connector.seconds = self.seconds
            if connector.store.tiers:
                connector.engine.remote.connector = connector

    @property
    def lanes(self) -> list[Lane]:
        """All lanes that were used, in the order of their first use."""
        return list(self._lanes.values())

    def lane(self, number: int, source: int, target: int) -> Lane:
        """The lane of an engine to or from a tier, or that of its store between two tiers."""
        store = self.connectors[number].store
        key = (id(store), number if GPU in (source, target) else GPU, source, target)
        found = self._lanes.get(key)
        if found is None:
            found = self._lanes[key] = self._make(store, number, source, target)
        return found

    # -- what goes down ------------------------------------------------------------------------------------------

    def collect(self, number: int, time: int) -> int:
        """Look at what an engine has given up or completed in its calls up to ``time``; when to look next at least."""
        engine = self.engines[number]
        pool, waiting = engine.pool, self._computed[number]
        assert isinstance(pool, WatchedPool)
        if not (pool.gone or pool.complete or pool.answers or waiting):
            return FAR
        store = self.connectors[number].store
        if pool.gone:
            gone, pages = pool.gone, pool.gone_pages
            pool.gone, pool.gone_pages = [], []
            if self.rules.write == "back" and store.tiers:
                store.put(gone, pages)
            if self.lost is not None:
                self.lost(number, gone)
        if pool.complete:
            if self.computed is not None:
                for request in pool.complete:
                    self.computed(number, request)
            if self.rules.write == "through" and store.tiers:
                for request in pool.complete:  # there at its first token, or already if it was loaded whole
                    end = request.first_token or 0
                    waiting.append((engine.timeline.wall(end) if isinstance(engine, Coupled) else end, request))
            pool.complete.clear()
        if pool.answers:
            if self.rules.write == "through" and store.tiers:
                for answer in pool.answers:
                    store.put(answer.keys[::-1], answer.sizes()[::-1])
            pool.answers.clear()
        for end, request in waiting:
            if end <= time:
                prompt = store.chunks(request, pool.block_size)
                store.put(prompt.keys[::-1], prompt.sizes()[::-1])
        waiting[:] = [(end, request) for end, request in waiting if end > time]
        if store.moves:
            self._carry(number)
        return min([end for end, _ in waiting], default=FAR)

    def failed(self, number: int) -> None:
        """An engine has lost its KV, and with it every load that was under way to it."""
        self._computed[number].clear()
        self.connectors[number].plans.clear()
        self._loads = {request: load for request, load in self._loads.items() if load.number != number}

    def _carry(self, number: int) -> None:
        """Start the copies that the store of an engine asks for."""
        store = self.connectors[number].store
        for source, target, move in store.take_moves():
            self.lane(number, source, target).send(move.pages, partial(self._landed, number, move, source < target))

    def _landed(self, number: int, move: Move, down: bool) -> None:
        store = self.connectors[number].store
        store.landed(move)
        if down and self.rules.write == "through":
            store.put_below(move)
            self._carry(number)
        for waiter in move.waiters:
            waiter()

    def below(self, request: Request) -> list[list[tuple[int, int, bool]]]:
        """Stretches of a prompt in the store of each engine, as (first token, end token, on a slow tier)."""
        found: dict[int, list[tuple[int, int, bool]]] = {}
        for connector in self.connectors:
            if id(connector.store) not in found:
                size, token = connector.engine.pool.block_size, 0
                stretches = found[id(connector.store)] = []
                for part in connector.store.find(
                    connector.store.chunks(request, size), 0, request.prompt_tokens // size
                ):
                    stretches.append((token, part.end * size, self.staged[part.level]))
                    token = part.end * size
        return [found[id(connector.store)] for connector in self.connectors]

    # -- what comes up -------------------------------------------------------------------------------------------

    def seconds(self, number: int, found: list[Found], start: int) -> list[float]:
        """When each stretch of found chunks would be on the GPU, all on their own ways at the same time."""
        times: list[float] = []
        latest, page = 0.0, start
        for part in found:
            pages, level = part.end - page, part.level
            page = part.end
            before = 0.0
            if self.staged[level]:
                before, level = self.lane(number, level, 0).seconds(pages), 0
            latest = max(latest, before + self.lane(number, level, GPU).seconds(pages))
            times.append(latest)
        return times

    def expect(self, number: int, request: Request) -> None:
        """A request was sent to an engine: what it will need from slow tiers can come while it is queued."""
        if self.rules.fetch != "while_queued" or request.prefix_ids is None:
            return
        connector = self.connectors[number]
        if not any(slow and tier.used for slow, tier in zip(self.staged, connector.store.tiers, strict=False)):
            return
        pool = self.engines[number].pool
        start, prompt = pool.lookup(request, 1 << 60)[0], connector.store.chunks(request, pool.block_size)
        cut = bisect_left(prompt.ends, start)
        if cut < len(prompt.ends) and start > prompt.first(cut):  # the rest of a chunk is not worth a copy of its own
            start = prompt.ends[cut]
        slow = [part for part in connector.look(request, start) if self.staged[part.level]]
        if sum(part.prompt.ends[part.high - 1] - part.prompt.first(part.low) for part in slow) >= max(
            self.rules.least_prefetch, 1
        ):
            for part in slow:
                connector.store.fetch_ahead(part)
            if connector.store.moves:
                self._carry(number)

    def load(self, number: int, request: Request) -> None:
        """The pages of a request are taken: bring what its connector has found."""
        connector = self.connectors[number]
        store = connector.store
        page, found, late = connector.plans.pop(request)
        load = self._loads[request] = Load(number, request, len(found))
        for part, slow in zip(found, late, strict=True):
            if request.remote_tokens > 0:
                store.tiers[part.level].spared += part.end - page
            else:
                store.count_hits(part, page)
            pages, page = part.end - page, part.end
            if slow:
                store.tiers[part.level].slower += pages
            store.touch(part)
            level = part.level
            if self.staged[level]:
                store.raise_to_top(part)
                self._carry(number)
                if store.on_top(part):
                    level = 0
            self._after(self._under_way(store, level, part), partial(self._bring, load, level, pages))

    @staticmethod
    def _under_way(store: TierStore, level: int, part: Found) -> list[Move]:
        """The copies that have to land before these chunks can be read at a level."""
        arriving = store.tiers[level].arriving
        if not arriving:
            return []
        moves = {id(move): move for key in part.keys if (move := arriving.get(key)) is not None}
        return list(moves.values())

    @staticmethod
    def _after(moves: list[Move], then: Callable[[], object]) -> None:
        """Call ``then`` once all of them have landed."""
        left = len(moves)
        if not left:
            then()
            return

        def one() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        for move in moves:
            move.waiters.append(one)

    def _bring(self, load: Load, level: int, pages: int) -> None:
        lane = self.lane(load.number, level, GPU)
        tier = self.connectors[load.number].store.tiers[level]
        tier.read += pages
        early = self._early(load, lane, pages) if self.rules.fetch == "layerwise" else 1.0
        lane.send(pages * early, partial(self._here, load))
        if early < 1.0:
            lane.send(pages * (1.0 - early))

    def _early(self, load: Load, lane: Lane, pages: int) -> float:
        """The share that must be there before the prompt may go on, the rest coming in time layer by layer.

        With ``L`` layers, ``T`` to load and ``C`` to compute: the first layer, and enough that what is left
        (``T (1 - share)``) takes no longer than all layers but the last, ``C (L - 1) / L``.
        """
        request, layers = load.request, self.rules.layers
        prefill = self.connectors[load.number].prefill
        computing = prefill.upto(request.known) - prefill.upto(request.computed)
        loading = pages * lane.way.seconds
        if loading <= 0:
            return 1.0
        return min(1.0, max(1.0 / layers, 1.0 - computing * (layers - 1) / layers / loading))

    def _here(self, load: Load) -> None:
        load.left -= 1
        if not load.left and self._loads.get(load.request) is load:  # else its engine has failed meanwhile
            del self._loads[load.request]
            now = self.clock.now << SUBTICK_BITS
            self.complete(load.number, load.request, now)

    def _arrives(self, number: int, request: Request, time: int) -> None:
        self.engines[number].kv_arrived(request, time)
        self.arrived(number, time)
