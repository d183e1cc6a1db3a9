"""One engine replica: calls of its scheduler, steps on its device, and stretches of equal steps jumped over."""

from __future__ import annotations

from collections import deque

from hwsim.cost.price import Pricer, StepPrice
from hwsim.serving.admission import Admission
from hwsim.serving.batch import DecodeRows
from hwsim.serving.boarding import board
from hwsim.serving.cruise import Piece, can_cruise, cruise
from hwsim.serving.ending import announce, end_rows, free, free_leaving, reject
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.journal import Journal
from hwsim.serving.kv.pool import PagePool
from hwsim.serving.pipeline import FAR, Pipeline
from hwsim.serving.preemption import preempt
from hwsim.serving.remote import Remote
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog
from hwsim.serving.scheduler import Scheduler, scheduler
from hwsim.serving.step import price, take_step
from hwsim.serving.stretch import boundary, demands, take_stretch

__all__ = ["FAR", "Engine", "EngineConfig"]


class Engine:
    """Continuous batching on one replica: decodes in lockstep, prompts in chunks, paged KV, pre-emption by recompute.

    The engine is a machine in its own *alone time* (integer subticks): what it decides depends only on the order of
    calls and arrivals there.  ``advance(until)`` executes every call that starts before ``until``; between two
    moments that can change the schedule it takes one macro-step.  Those moments are, in one place (``stretch.plan``):
    an arrival that could be admitted, a message (KV arrived, KV released), the first row to end, the pool running out
    of pages, the end of the price's affine piece, host and device changing places, and the horizon ``until``.
    ``single_step`` takes every step alone; both give equal schedules and equal times.

    Whom a step computes is decided by ``scheduler`` (one file per engine family in ``schedulers/``); this class has
    the mechanism: who runs, whose pages are held, what a step costs, when an output is there.  KV that comes from or
    goes to another place is in ``remote`` (see :mod:`hwsim.serving.remote` for the hand-over between engines).

    Main simplification: all decode rows get one token in each decode step; where pages run short or several prompts
    are unfinished, a scheduler may walk the running list request by request.
    """

    __slots__ = (
        "admission",
        "calls",
        "config",
        "current",
        "deck",
        "held",
        "inbox",
        "journal",
        "keeps",
        "knots",
        "lazy",
        "leaving",
        "leaving_since",
        "listened",
        "log",
        "mail",
        "notices",
        "partials",
        "pieces",
        "pipeline",
        "plain",
        "pool",
        "preemptions",
        "pricer",
        "prices",
        "ready",
        "recomputed_tokens",
        "remote",
        "replica",
        "rows",
        "running",
        "scheduled_tokens",
        "scheduler",
        "seats",
        "sequence",
        "single_step",
        "stalled_until",
        "step",
        "waits",
        "wasted_rows",
        "windows",
    )

    def __init__(
        self,
        config: EngineConfig,
        pricer: Pricer,
        *,
        replica: int = 0,
        journal: Journal | None = None,
        single_step: bool = False,
        log: ScheduleLog | None = None,
    ) -> None:
        self.config = config
        self.pricer = pricer
        self.replica = replica
        self.journal = journal or Journal()
        self.single_step = single_step
        self.log = log
        self.keeps = (
            False  # pages of some requests outlive them: held for others, or answers that a next turn begins with
        )
        self.lazy = (
            False  # a stretch that nothing but the end of ``advance`` would cut may be left for later (``cruise``)
        )
        self.listened = False  # somebody wants to know of answers,
        self.waits = True  # and may act on one: stop where that could matter
        self.pool = PagePool(
            config.num_gpu_blocks,
            config.block_size,
            enable_prefix_caching=config.enable_prefix_caching,
            unhashed_first=config.unhashed_first,
        )
        self.windows: tuple[int, ...] = getattr(pricer, "windows", ())
        self.rows = DecodeRows(config.block_size, windows=self.windows)
        self.pipeline = Pipeline(2 if config.async_scheduling else 1)
        self.running: dict[Request, None] = {}  # in order of admission
        self.partials: list[Request] = []  # unfinished prompts among them
        self.leaving: list[Request] = []  # ended by length, output still in flight: scheduled no more, not yet freed
        self.inbox: deque[Request] = deque()  # arrivals not yet visible, in time order
        self.admission = Admission(self)
        self.remote = Remote(self)
        self.mail, self.ready = self.remote.mail, self.remote.ready
        self.scheduler: Scheduler = scheduler(self)
        self.seats = config.max_num_seqs
        self.step = 0
        self.stalled_until = -1
        self.held: int | None = None  # a call that waits for what an answer brings
        self.calls = 0
        self.leaving_since = 0
        self.knots = False  # end stretches at knots of the context, where what the engine asks of capacities changes
        self.current: tuple[StepPrice, int] | None = None
        self.notices: deque[tuple[int, Request]] = deque()
        self.plain: bool | None = (
            None  # set at the first call: nothing is asked of it but what ``cruise`` and ``boarding`` cover
        )
        self.sequence = 0
        self.scheduled_tokens = 0
        self.recomputed_tokens = 0
        self.wasted_rows = 0
        self.preemptions = 0
        self.prices: dict[int, StepPrice] = {}
        self.pieces: dict[int, Piece] = {}  # of them, as ``cruise`` reads them
        rows, journal = self.rows, self.journal
        self.deck = (  # what ``cruise`` works on and nobody ever replaces
            *(rows, self.pipeline, journal, self.inbox, self.leaving, self.running, self.pieces),
            *(rows.due, rows.phases, rows.page, rows.late, journal.packed),
        )

    # -- what comes in -------------------------------------------------------------------------------------------

    def submit(self, request: Request, alone: int) -> None:
        """Deliver ``request`` at alone time ``alone`` (not before an earlier one, not before the last call)."""
        request.arrival_alone = alone
        reason = self.admission.refusal(request)
        if reason is not None:
            request.status, request.reason = "rejected", reason
            self.reject(request, alone)
            return
        if request.keeps_kv or request.answer_ids is not None:
            self.keeps = True
        self.inbox.append(request)
        if self.stalled_until >= FAR:
            self.stalled_until = alone

    def kv_arrived(self, request: Request, alone: int) -> None:
        """The KV that ``request`` was waiting for is here at ``alone``."""
        self.remote.arrives(request, alone)

    def release_kv(self, request: Request, alone: int) -> None:
        """Whoever read the KV of ``request``, finished with ``keeps_kv``, is done with it at ``alone``."""
        self.remote.releases(request, alone)

    def groups(self) -> list[DecodeRows]:
        """All rows, by who decodes in one batch."""
        return [self.rows]

    def decoding(self) -> tuple[int, int]:
        """Decode rows, and the tokens they attend to."""
        groups = self.groups()
        return sum([rows.count for rows in groups]), sum([rows.context() for rows in groups])

    def clear_rows(self) -> None:
        """Nobody decodes any more, and nobody waits for an output."""
        self.rows.late.clear()

    def requests(self) -> list[Request]:
        """Everyone who is in the engine, in whatever state."""
        return [*self.running, *self.remote.loading, *self.admission.requests(), *self.inbox]

    # -- the loop ------------------------------------------------------------------------------------------------

    def next_call(self) -> int | None:
        """Alone time of the next call of the scheduler that may do something, or None while nothing is known."""
        if self.rows.count or self.partials or self.admission.waiting:
            call = max(self.pipeline.next_call(), self.stalled_until)
            return call if call < FAR else None
        return self._idle_call()

    def _idle_call(self) -> int | None:
        if self.held is not None:
            return self.held
        end = self.pipeline.end
        if self.leaving:
            host = self.pipeline.host_free  # nobody saw them leave: a call by then is one that does
            return host if self.leaving_since == self.calls and self._arrived(host) else end
        first = FAR
        if self.inbox:
            first = self.inbox[0].arrival_alone
        if self.mail and self.mail[0][0] < first:
            first = self.mail[0][0]
        if first == FAR:
            return None
        return first if first > end else end

    def _arrived(self, time: int) -> bool:
        return bool(self.inbox) and self.inbox[0].arrival_alone <= time

    def advance(self, until: int = FAR, *, inclusive: bool = False) -> None:
        """Execute every call that happens before ``until`` (or at it, with ``inclusive``).

        With a listener for finished requests the engine stops where its answer could matter: before any call that
        is not earlier than a finish that has not been announced.
        """
        limit = until + 1 if inclusive else until
        plain = self.plain
        if plain is None:
            special = self.single_step or self.knots or self.windows or self.log is not None
            plain = self.plain = self.pipeline.depth == 2 and not special
        rows = self.rows
        while plain and rows.count and can_cruise(self):
            call = cruise(self, limit)
            if call is None:
                return
            self._call(call, limit)
        notices, pipeline, waiting = self.notices, self.pipeline, self.admission.waiting
        while True:
            if plain and rows.count and can_cruise(self):
                call = cruise(self, limit)
                if call is None:
                    return
                self._call(call, limit)
                continue
            if notices and self.waits and notices[0][0] < limit:
                limit = notices[0][0]
            if rows.count or self.partials or waiting:
                call = pipeline.end
                if pipeline.depth > 1:
                    call = pipeline.end_before
                    if pipeline.host_free > call:
                        call = pipeline.host_free
                if self.stalled_until > call:
                    call = self.stalled_until
            else:
                call = self._idle_call()
                if call is None:
                    return
            if call >= limit:
                return
            self._call(call, limit)

    def _call(self, call: int, limit: int) -> None:
        step, rows, admission = self.step, self.rows, self.admission
        if rows.due and rows.due[0][0] <= rows.beat:
            end_rows(self)
        elif self.leaving and (self.leaving_since < self.calls or call >= self.pipeline.end):
            self.free_leaving()
        if self.notices and self.waits and self.notices[0][0] < limit:
            limit = self.notices[0][0]
            if limit <= call:
                self.held = call
                return  # whoever listens may answer before this call decides
        self.held = None
        self.calls += 1
        if self.mail or self.ready:
            self.remote.open_mail(call)
        inbox = self.inbox
        if inbox and inbox[0].arrival_alone <= call:
            if self.plain and self.scheduler.lets_in_whole and board(self, call):
                return
            while inbox and inbox[0].arrival_alone <= call:
                admission.arrive(inbox.popleft())
        admission.tried = False
        if (self.partials or admission.waiting or rows.count > self.config.max_num_batched_tokens) and (
            self.scheduler.decides()
        ):
            self.scheduler.decide(call)
        elif rows.count:
            self.stretch(call, limit)
        if self.step == step and not rows.count:
            self._stall(call)

    def settle(self, time: int) -> None:
        """Announce who ends by ``time``: earlier calls are executed, one at ``time`` waits for what answers bring."""
        self.advance(time)
        rows = self.rows
        if rows.due and rows.due[0][0] <= rows.beat and self.next_call() == time:
            end_rows(self)
            self.held = time

    stretch = take_stretch

    def _stall(self, call: int) -> None:
        """Nothing could be scheduled: wait for the output in flight, or give up what can never be served."""
        self.stalled_until = self.pipeline.end
        if call >= self.pipeline.end and not self.running and self.admission.waiting:
            if self.remote.ready:
                pass  # they find places in the next call
            elif self.remote.pending:
                self.stalled_until = self.remote.next_news()
            elif self.admission.tried:
                self.admission.reject_head()
            else:
                self.admission.blocked = False

    def boundary(self) -> int | None:
        """Alone time of the next call that can decide anything new, as far as is known now (None: nothing to do)."""
        return boundary(self)

    def demands(self) -> dict[str, float]:
        """What the decode rows ask of each capacity, in units per second of alone time ({} for an idle engine)."""
        return demands(self)

    # -- who leaves (see ``ending``) -----------------------------------------------------------------------------

    announce = announce
    free = free
    free_leaving = free_leaving
    reject = reject

    # -- what a scheduler does with requests ---------------------------------------------------------------------

    def enter(self, request: Request, cached: int, tokens: int, pages: int, call: int) -> None:
        """Let ``request`` in: ``cached`` tokens are there, ``tokens`` are computed in this call on ``pages`` pages."""
        request.pages += pages
        request.computed = cached + tokens
        if request.computed < request.known:
            self.partials.append(request)
        self.admit(request, cached, call)
        if request.prefix_ids is not None:
            self.pool.register(request, request.computed)

    def admit(self, request: Request, cached: int, call: int) -> None:
        """Put ``request`` into the running list."""
        if request.cached_tokens < 0:
            request.cached_tokens = cached
            request.scheduled = call
        else:
            self.recomputed_tokens += max(request.was_computed - cached, 0)
        request.status = "running"
        self.sequence += 1
        request.sequence = self.sequence
        self.running[request] = None
        if self.log is not None:
            self.log.admitted(request, self.step, cached)

    def compute(self, request: Request, tokens: int, pages: int) -> None:
        """Account ``tokens`` more computed tokens of a prompt on ``pages`` new pages."""
        request.pages += pages
        request.computed += tokens
        if request.prefix_ids is not None:
            self.pool.register(request, request.computed)

    price = price
    run = take_step

    def forget_prices(self) -> None:
        """Steps cost something else from now on."""
        self.prices.clear()
        self.pieces.clear()

    def preempt(self, request: Request, given: int = 0) -> None:
        """Take everything from ``request``, which gives back ``given`` tokens of this call; see ``preemption``."""
        preempt(self, request, given)
