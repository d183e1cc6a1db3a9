"""KV that comes from or goes to another place: the engine's side of a hand-over or of a memory tier."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol

from hwsim.serving.pipeline import FAR
from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

LOADING = "waiting_for_remote_kvs"
_ARRIVED, _RELEASED = range(2)


class Connector(Protocol):
    """Who knows what KV lies outside the engine (a hand-over, memory tiers).  The default looks at the request."""

    def external(self, request: Request, local_tokens: int) -> int | None:
        """Tokens beyond ``local_tokens`` that can be loaded; 0 for none, None for "not known yet" (skip it)."""
        ...


class Remote:
    """Requests whose KV arrives later, and finished ones whose KV somebody still reads (vLLM's KV connectors).

    *A prompt whose KV comes later* (``request.remote_tokens > 0``, or a ``connector`` that says so) queues like any
    other.  At the head of the queue it gets its pages for everything that is not cached locally, leaves the queue in
    the state ``waiting_for_remote_kvs`` and takes neither token budget nor a place among the running; those behind it
    go on.  That is told as a notice ``(time, request)`` with that status and ``request.load_tokens``; whoever moves the
    bytes then calls ``engine.kv_arrived(request, alone)``.  The first call that is not earlier puts it into the part
    of the queue that holds KV, which is served before the rest, and at admission what is missing is computed: of a
    prompt that came whole, the last token again (it gives the first output).  ``request.prefilled`` says that the
    first output came along: such a request becomes a decode row without any computing.

    *A prompt computed for somebody else* (``request.keeps_kv``) keeps its pages when it ends, until
    ``engine.release_kv(request, alone)``.  Its end is the usual notice (status ``completed``).

    Notices are written only for an engine that somebody listens to (``engine.listened``), and the engine does not
    pass one: it stops before the first call that is not earlier until the notice has been taken.
    Source: vLLM 0.33 NixlConnector and scheduler, as described in their docs (WAITING_FOR_REMOTE_KVS).
    """

    __slots__ = ("_engine", "_letters", "connector", "kept", "loading", "mail", "ready")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._letters = 0
        self.connector: Connector | None = None
        self.mail: list[tuple[int, int, int, Request]] = []  # messages not yet visible
        self.loading: dict[Request, int] = {}  # pages are held, KV is under way; value: order of loading
        self.kept: dict[Request, None] = {}  # ended, pages still held
        self.ready: list[Request] = []  # prefilled, and as yet without a place among the running

    @property
    def pending(self) -> bool:
        """True while a message is to come that can change what fits."""
        return bool(self.loading or self.kept or self.mail or self.ready)

    def next_news(self) -> int:
        """The next message or arrival that is known (FAR: none yet)."""
        first = self.mail[0][0] if self.mail else FAR
        inbox = self._engine.inbox
        return min(first, inbox[0].arrival_alone) if inbox else first

    def abandon(self) -> list[Request]:
        """The engine has failed: requests whose KV was to come wait for it no more, and nothing is under way."""
        waiting = [*self.loading, *self.ready]
        for held in (self.loading, self.ready, self.kept, self.mail):
            held.clear()
        return waiting

    # -- messages ------------------------------------------------------------------------------------------------

    def arrives(self, request: Request, alone: int) -> None:
        """Called by whoever moved the KV."""
        self._post(alone, _ARRIVED, request)

    def releases(self, request: Request, alone: int) -> None:
        """Called by whoever read the KV."""
        self._post(alone, _RELEASED, request)

    def _post(self, alone: int, kind: int, request: Request) -> None:
        self._letters += 1
        heappush(self.mail, (alone, self._letters, kind, request))
        engine = self._engine
        engine.stalled_until = min(engine.stalled_until, alone)

    def open_mail(self, call: int) -> None:
        """Messages become visible to the call at ``call``."""
        mail, engine = self.mail, self._engine
        while mail and mail[0][0] <= call:
            _, _, kind, request = heappop(mail)
            if kind == _ARRIVED:
                self._arrived(request)
            else:
                del self.kept[request]
                engine.pool.release(request, request.prompt_tokens + request.output_tokens - 1)
            engine.admission.blocked = False
        if self.ready:
            self.place(call)

    # -- KV that comes -------------------------------------------------------------------------------------------

    def tokens(self, request: Request, local_tokens: int) -> int | None:
        """How much KV of ``request`` can be loaded beyond what is cached here."""
        if self.connector is not None:
            return self.connector.external(request, local_tokens)
        return max(request.remote_tokens - local_tokens, 0)

    def load(self, request: Request, local_tokens: int, tokens: int, call: int) -> None:
        """Its pages are taken: from now on the request waits for ``tokens`` tokens of KV."""
        engine = self._engine
        self._letters += 1
        self.loading[request] = request.load_order = self._letters
        request.status = LOADING
        request.load_tokens = tokens
        request.computed = local_tokens + tokens
        if engine.listened:
            engine.notices.append((call, request))

    def _arrived(self, request: Request) -> None:
        engine = self._engine
        del self.loading[request]
        request.remote_tokens = 0
        request.status = "waiting"
        engine.pool.register(request, request.computed)
        if request.prefilled:
            self.ready.append(request)
        else:
            request.computed = min(request.computed, request.known - 1)
            engine.admission.return_loaded(request)

    def place(self, call: int) -> None:
        """Prefilled requests take free places among the running and are decode rows from this call on."""
        engine = self._engine
        rows = engine.rows
        while self.ready and len(engine.running) < engine.config.max_num_seqs:
            request = self.ready.pop(0)
            engine.admit(request, request.computed, call)
            if request.first_token is None:
                request.first_token = call
            request.last_token = request.first_token
            request.emitted = 1
            if request.output_tokens == 1:  # nothing is left to decode
                engine.announce(request, request.last_token)
                engine.free(request)
                continue
            if rows.count and not rows.late:
                rows.late.append([rows.end, rows.count])
            rows.late.append([request.last_token, 1])
            steps = request.output_tokens - 1 + (request.ends_by_eos and engine.pipeline.depth > 1)
            rows.join(request, request.computed, steps)
            if engine.log is not None:
                engine.log.joined(request, rows.beat, rows.number)

    # -- KV that stays -------------------------------------------------------------------------------------------

    def keep(self, request: Request) -> None:
        """``request`` ended, but its pages are read by others."""
        self.kept[request] = None
