"""An engine with contiguous KV memory: page-groups are mapped by the driver as contexts grow (vAttention)."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, NamedTuple

from hwsim.cost.price import Pricer, StepPrice, StepShape
from hwsim.serving.batch import DecodeRows
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.kv.slots import MappedPool, Slots
from hwsim.serving.request import Request
from hwsim.serving.step import take_step
from hwsim.serving.stretch import take_stretch


class Mapping(NamedTuple):
    """What it takes to map a page: ``cost`` subticks of the driver for its page-groups in all tensors of a GPU.

    ``background``: what decode rows will need next is mapped during the step before.  ``deferred`` and ``ahead`` (in
    pages): see ``Slots``.
    """

    cost: int
    background: bool = True
    deferred: bool = True
    ahead: int = 0


class MappedRows(DecodeRows):
    """Decode rows that also know at which beats each of them needs a page, and at which beat a stretch must stop."""

    __slots__ = ("_crossings", "_next", "slots", "stop")

    def __init__(self, page: int, slots: Slots, windows: tuple[int, ...] = ()) -> None:
        super().__init__(page, 0, windows)
        self.slots = slots
        self.stop = FAR
        self._crossings: list[tuple[int, int, Request]] = []
        self._next: dict[Request, int] = {}

    def _enter(self, request: Request, beat: int, offset: int, finish: int) -> None:
        super()._enter(request, beat, offset, finish)
        self._expect(request, beat + -(offset + beat) % self.page)

    def _expect(self, request: Request, beat: int) -> None:
        self._next[request] = beat
        heappush(self._crossings, (beat, request.sequence, request))

    def leave(self, request: Request) -> None:
        """Take a row out."""
        super().leave(request)
        self._next.pop(request, None)

    def next_due(self) -> int:
        """The next beat at which a row is no longer scheduled or the stretch must stop for a mapping."""
        due = super().next_due()
        return min(due, self.stop) if due >= 0 else due

    def settle(self, upto: int) -> int:
        """Rows grow into the pages of all beats up to ``upto``; returns for how many pages the driver had work."""
        crossings, mapped = self._crossings, 0
        while crossings and crossings[0][0] <= upto:
            beat, sequence, request = heappop(crossings)
            if self._next.get(request) != beat or request.sequence != sequence:
                continue  # it has left, or does everything one beat later
            if beat < request.finish_beat:
                mapped += self.slots.grow(request, 1)
                self._expect(request, beat + self.page)
            else:
                del self._next[request]
        return mapped

    def crowded(self, most: int) -> int:
        """The first beat from now on, within a page, at which more than ``most`` rows need a page."""
        if most >= self.count:
            return FAR
        first = self.beat % self.page
        coming = self.phases[first:] + self.phases[:first]
        if max(coming) <= most:
            return FAR
        return self.beat + next(ahead for ahead, rows in enumerate(coming) if rows > most)


class _Delayed:
    """A price whose step waits ``more`` subticks of host time for the driver; what is counted is the price's own."""

    __slots__ = ("host", "price")

    def __init__(self, price: StepPrice, more: int) -> None:
        self.price = price
        self.host = price.host + more

    def __getattr__(self, name: str) -> Any:
        return getattr(self.price, name)

    @property
    def steps(self) -> int:
        """Steps executed at the price."""
        return self.price.steps

    @steps.setter
    def steps(self, value: int) -> None:
        self.price.steps = value

    @property
    def contexts(self) -> int:
        """The sum of their contexts."""
        return self.price.contexts

    @contexts.setter
    def contexts(self, value: int) -> None:
        self.price.contexts = value


class ContiguousEngine(Engine):
    """Continuous batching on memory that is reserved per request and backed by physical pages only as contexts grow.

    A page holds as many tokens as a page-group of one tensor does.  Before each step the driver maps what is missing:
    what prompts need always delays the step; what decode rows need delays it whole, or with ``background`` mapping by
    as much as it is longer than the device time of a step like this one (the step before takes nearly as long).  Steps
    that may be delayed are taken alone, all others in macro-steps; both ways give equal schedules.  Simplification:
    the driver's calls delay nobody on the device.
    Source: vAttention (arXiv:2405.04437).
    """

    __slots__ = ("_step_now", "delays", "mapping", "slots")

    def __init__(self, config: EngineConfig, pricer: Pricer, *, mapping: Mapping, **more: Any) -> None:
        super().__init__(config, pricer, **more)
        self.mapping = mapping
        self.slots = Slots(self.pool.usable, deferred=mapping.deferred, ahead=mapping.ahead)
        self.pool = MappedPool(config.num_gpu_blocks, config.block_size, self.slots)
        self.rows: MappedRows = MappedRows(config.block_size, self.slots, self.windows)
        self.plain = False
        self.delays = 0  # subticks that steps waited for the driver
        self._step_now: int | None = None  # the driver's pages for decode rows of the step that is being priced

    def admit(self, request: Request, cached: int, call: int) -> None:
        """Put ``request`` into the running list and give it a place."""
        super().admit(request, cached, call)
        self.slots.assign(request, request.pages, -(-request.known // self.pool.block_size))

    def compute(self, request: Request, tokens: int, pages: int) -> None:
        """Account more computed tokens of a prompt; its step waits for their pages."""
        super().compute(request, tokens, pages)
        self.slots.pending += self.slots.grow(request, pages)

    def run(
        self,
        call: int,
        decodes: int,
        context: int,
        chunks: list[tuple[Request, int]],
        windowed: tuple[int, ...] | None = None,
    ) -> None:
        """One step, after what it needs is mapped."""
        self._step_now = self.rows.settle(self.rows.beat) if decodes else 0
        take_step(self, call, decodes, context, chunks, windowed)
        self._step_now = None

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...]) -> StepPrice:
        """What a step costs, the driver's calls included if it is taken now."""
        own = super().price(shape, context, windowed)
        if self._step_now is None:
            return own
        growth = self._step_now * self.mapping.cost
        if self.mapping.background:
            growth = max(growth - own.device(context, windowed), 0)
        delay = self.slots.pending * self.mapping.cost + growth
        self.slots.pending = 0
        self.delays += delay
        return _Delayed(own, delay) if delay else own  # pyright: ignore[reportReturnType]

    def stretch(self, call: int, limit: int) -> None:
        """Decode steps in one go, up to the first that the driver may delay; that one is taken alone."""
        rows = self.rows
        stop = rows.beat if self.slots.pending else rows.crowded(self._hidden())
        if stop == rows.beat:
            pages = rows.pages(1)
            if pages > self.pool.free:
                self.scheduler.decide(call)
            else:
                self.pool.take(pages)
                self.run(call, rows.count, rows.context(), [])
            return
        rows.stop = rows.beat + 1 if self.leaving else stop  # what is freed one call on may be mapped from then on
        take_stretch(self, call, limit)
        rows.stop = FAR
        rows.settle(rows.beat - 1)

    def _hidden(self) -> int:
        """Pages that can be mapped during a step like the next one, also if others must be unmapped for all of them."""
        if not self.mapping.background:
            return 0
        if not self.mapping.cost:
            return 1 << 62
        rows = self.rows
        context, windowed = rows.context(), rows.windowed() if self.windows else ()
        price = self.prices.get(rows.count)
        if price is None or not price.low <= context <= price.limit:
            price = self.prices[rows.count] = self.price(StepShape(rows.count, (), rows.count), context, windowed)
        return price.device(context, windowed) // (2 * self.mapping.cost)
