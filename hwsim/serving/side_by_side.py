"""Prefill and decode side by side on the same GPUs, each on a part of the SMs, in competition for the memory.

Each GPU (or tensor-parallel group) has two engines: their compute is apart, since SMs are, their memory traffic shares
one bandwidth, bottleneck-fair.  A split rule is asked at fixed times, and when a prompt comes to an idle side; it may
move the border, and the next steps of both run at the new shares.  Simplifications: the border moves without cost; each
side has a fixed part of the KV memory, so a prompt's pages are held on both sides for the instant in which it changes
hands; nothing else on the GPU is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hwsim.cost.price import SUBTICK_BITS, SUBTICKS_PER_SECOND, StepShape
from hwsim.cost.scaled import Scaled
from hwsim.cost.sm_share import on_share
from hwsim.serving.coupled import Coupled
from hwsim.serving.disaggregation import DECODE, Disaggregation
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.flight import Flight
from hwsim.serving.handover import Figures
from hwsim.serving.routing import backlog


class Side:
    """What a split rule may see of one GPU: what waits and runs there, and what it would take on a part of the SMs."""

    def __init__(self, prefill: Engine, decode: Engine) -> None:
        self._prefill, self._decode = prefill, decode

    @property
    def backlog(self) -> int:
        """Prompt tokens that are still to be computed."""
        return backlog(self._prefill)

    @property
    def rows(self) -> int:
        """Requests that decode."""
        return self._decode.rows.count

    @property
    def kv_usage(self) -> float:
        """Share of decode's KV pages in use."""
        pool = self._decode.pool
        return (pool.usable - pool.free) / pool.usable

    def prefill_seconds(self, share: float) -> float:
        """One chunk of what waits on this share of the SMs."""
        engine = self._prefill
        chunk = min(max(self.backlog, 1), engine.config.max_num_batched_tokens)
        grain = max(engine.config.max_num_batched_tokens // 16, 1)
        return _seconds(engine, StepShape(0, ((-(-chunk // grain) * grain, 0),), 1), 0, share)

    def decode_seconds(self, share: float) -> float:
        """One step of the present rows on this share of the SMs."""
        engine = self._decode
        rows = max(engine.rows.count, 1)
        return _seconds(engine, StepShape(rows, (), rows), max(engine.rows.context(), rows), share)


def _seconds(engine: Engine, shape: StepShape, context: int, share: float) -> float:
    pricer = engine.pricer.inner if isinstance(engine.pricer, Scaled) else engine.pricer
    windowed = tuple([min(context, window * max(shape.rows, 1)) for window in engine.windows])
    price = pricer.price(shape, context, windowed) if engine.windows else pricer.price(shape, context)
    factors = on_share(pricer, share).factors
    time = 0.0
    for part in price.components:
        alone = part.base + part.slope * context
        alone += sum([slope * seen for slope, seen in zip(part.window_slopes, windowed, strict=False)])
        time += alone * factors.get(part.bound, 1.0)
    return time / SUBTICKS_PER_SECOND


class Split(Protocol):
    """Says which share of the SMs prefill gets."""

    def share(self, now: float, side: Side) -> float:
        """The share from now on, in (0, 1); ``now`` is the present one."""
        ...


class Still:
    """A mover that moves nothing: the KV is where it has to be."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.figures = Figures(0.0, 0.0, 1, False)
        self.bytes = 0.0

    def bytes_per_token(self, target: int) -> float:
        """None."""
        return 0.0

    def send(
        self, source: int, target: int, tokens: int, on_done: Callable[[Any], object], *, round_trips: int, first: bool
    ) -> None:
        """It is there."""
        self.clock.at(self.clock.now, lambda: on_done(None))


class SideBySide(Disaggregation):
    """Pairs of engines: what the n-th prefills, the n-th decodes."""

    def __init__(
        self,
        prefill: Sequence[Coupled],
        decode: Sequence[Coupled],
        *others: Any,
        splits: Sequence[Split],
        share: float,
        every: int,
        **more: Any,
    ) -> None:
        """``share`` of the SMs for prefill at the start; each split rule is asked ``every`` so many subticks."""
        super().__init__(prefill, decode, *others, **more)
        self.pairs = [(first.engine, second.engine) for first, second in zip(prefill, decode, strict=True)]
        self.splits = list(splits)
        self.shares = [share] * len(self.pairs)
        self.scaled: list[tuple[int, Scaled]] = []  # every pricer that an engine ran at, by its number in results
        self.moves = 0
        self.every = every
        self.asked = self.clock.timer(self._ask_rules, late=True)
        self.cache: dict[tuple[int, float], Scaled] = {}
        for pair in range(len(self.pairs)):
            self._set(pair, share)

    def start(self) -> None:
        """Begin at the first arrival."""
        super().start()
        first = self.source.next_arrival()
        if first is not None:
            self.asked.set(max(first, self.clock.now))

    def _set(self, pair: int, share: float) -> None:
        self.shares[pair] = share
        for side, engine in enumerate(self.pairs[pair]):
            part = round(share if side == 0 else 1 - share, 6)
            pricer = engine.pricer.inner if isinstance(engine.pricer, Scaled) else engine.pricer
            number = engine.replica
            found = self.cache.get((number, part))
            if found is None:
                found = self.cache[(number, part)] = on_share(pricer, part)
                self.scaled.append((number, found))
            engine.pricer = found
            engine.forget_prices()

    def _ask_rules(self) -> None:
        """Every rule says what it wants now; it is asked again while there is anything to do."""
        time = self.clock.now << SUBTICK_BITS
        busy = self.source.next_time() is not None
        for pair, (prefill, decode) in enumerate(self.pairs):
            self._consult(pair, time)
            busy = busy or bool(prefill.requests() or decode.requests() or decode.rows.count)
        if busy:
            self.asked.set(self.clock.now + (self.every >> SUBTICK_BITS))

    def _consult(self, pair: int, time: int) -> None:
        """Ask one rule as of ``time``: calls before it have been made, those from it on run at the new shares."""
        numbers = (pair, self.first_decode + pair)
        for number in numbers:
            self.engines[number].advance(time)
            call = self.engines[number].boundary()
            self.calls[number] = FAR if call is None else call
            self._hear(number, time)
        wanted = self.splits[pair].share(self.shares[pair], Side(*self.pairs[pair]))
        if wanted != self.shares[pair]:
            self.moves += 1
            self._set(pair, wanted)
            for number in numbers:
                self._replan(number)

    def _prefill(self, flight: Flight, time: int) -> None:
        """A prompt for an idle side is a reason to ask at once: its first step should not run on what was left."""
        idle = not self._busy(self.engines[flight.prefill])
        super()._prefill(flight, time)
        if idle:
            self._consult(flight.prefill, time)

    def _ask(self, flight: Flight, time: int) -> None:
        if flight.decode < 0:
            flight.decode = self.first_decode + flight.prefill
            self.loads[DECODE].sent(flight.prefill, flight.request)
        super()._ask(flight, time)
