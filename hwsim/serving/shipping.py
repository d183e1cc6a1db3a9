"""Which bytes of a prompt's KV go when: all at its end, layer by layer, or chunk by chunk as they are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.coupled import Coupled

if TYPE_CHECKING:
    from hwsim.kernel.clock import Clock
    from hwsim.serving.engine import Engine
    from hwsim.serving.flight import Flight
    from hwsim.serving.handover import Connector, Mover


class Shipping:
    """Sends the KV of flights in parts, and says when the last of them has come.

    ``place(flight)`` names its decode engine where that is not known yet, or says that there is none;
    ``landed(flight)`` is called once the prompt has been computed and every part of it has come, or when the parts of
    a flight that was dropped have run out.  Simplification: the layers that go while a prompt is computed
    (all but the last) go from the moment that its computing is scheduled.
    """

    def __init__(
        self,
        engines: Sequence[Engine | Coupled],
        first_decode: int,
        connector: Connector,
        mover: Mover,
        clock: Clock,
        place: Callable[[Flight], bool],
        landed: Callable[[Flight], object],
    ) -> None:
        self.engines = engines
        self.first_decode = first_decode
        self.connector = connector
        self.mover = mover
        self.clock = clock
        self.place = place
        self.landed = landed
        self.computing: list[dict[Flight, None]] = [{} for _ in range(first_decode)]

    # -- while prompts are computed ------------------------------------------------------------------------------

    def expect(self, flight: Flight) -> None:
        """Its prompt is going to be computed."""
        if self.connector.streams is not None:
            self.computing[flight.prefill][flight] = None

    def before(self, number: int, time: int) -> None:
        """A prefill engine is about to make its calls up to ``time``: send the chunks that are there."""
        if self.connector.streams != "chunk":
            return
        engine = self.engines[number]
        alone = engine.timeline.alone(time) if isinstance(engine, Coupled) else time
        for flight in self.computing[number]:
            if self.connector.needs_room and flight.reserved < 0:
                continue
            chunks, upto = flight.chunks, 0
            while chunks and chunks[0][0] <= alone:
                upto = chunks.popleft()[1]
            if upto:
                self._send_upto(flight, upto)

    def after(self, number: int) -> None:
        """It has made them: layers go from now on, and what the step under way computes is there at its end."""
        if self.connector.streams == "layer":
            for flight in self.computing[number]:
                self.send_layers(flight)
            return
        end = self.engines[number].pipeline.end
        for flight in self.computing[number]:
            computed, chunks = flight.leg.computed, flight.chunks
            if computed > (chunks[-1][1] if chunks else 0):
                chunks.append((end, computed))

    def send_layers(self, flight: Flight) -> None:
        """Send all layers but the last of a prompt that is being computed."""
        if flight.leg.scheduled is not None:
            whole = flight.leg.prompt_tokens
            self._send_upto(flight, whole - -(-whole // self.mover.figures.layers))

    def _send_upto(self, flight: Flight, tokens: int) -> None:
        """Send of the first ``tokens`` tokens what decode wants and has not been sent, if it has a place for them."""
        if self.connector.needs_room and flight.reserved < 0:
            return
        whole = flight.leg.prompt_tokens
        skip = whole - flight.tokens if flight.tokens else 0
        upto = min(tokens, whole) - skip
        if upto > flight.sent:
            self._send(flight, upto - flight.sent)

    # -- when they are -------------------------------------------------------------------------------------------

    def computed(self, flight: Flight) -> None:
        """The prompt has been computed."""
        if self.connector.streams is not None:
            self.computing[flight.prefill].pop(flight, None)

    def send_rest(self, flight: Flight) -> None:
        """Send what has not gone yet."""
        if flight.tokens > flight.sent:
            self._send(flight, flight.tokens - flight.sent)
        elif not flight.moving:
            self.landed(flight)

    def _send(self, flight: Flight, tokens: int) -> None:
        if flight.decode < 0 and not self.place(flight):
            return
        first = flight.started < 0
        if first:
            flight.started = self.clock.now << SUBTICK_BITS
        flight.sent += tokens
        flight.moving += 1
        self.mover.send(
            flight.prefill,
            flight.decode - self.first_decode,
            tokens,
            lambda _: self._moved(flight),
            round_trips=self.connector.round_trips if first else 0,
            first=first,
        )

    def _moved(self, flight: Flight) -> None:
        flight.moving -= 1
        if not flight.moving and (flight.dropped or (flight.prefilled >= 0 and flight.sent >= flight.tokens)):
            self.landed(flight)
