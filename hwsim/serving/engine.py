"""One engine replica: calls of its scheduler, steps on its device, and stretches of equal steps jumped over."""

from __future__ import annotations

from collections import deque

from hwsim.cost.price import Pricer, StepPrice, StepShape
from hwsim.serving.admission import Admission
from hwsim.serving.batch import DecodeRows
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.journal import Journal
from hwsim.serving.kv.pool import PagePool
from hwsim.serving.pipeline import FAR, Pipeline
from hwsim.serving.preemption import preempt
from hwsim.serving.remote import Remote
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog
from hwsim.serving.scheduler import Scheduler, scheduler
from hwsim.serving.stretch import boundary, demands, knot_end, take_stretch

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
        "held",
        "inbox",
        "journal",
        "knots",
        "leaving",
        "leaving_since",
        "listened",
        "log",
        "mail",
        "notices",
        "partials",
        "pipeline",
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
        self.step = 0
        self.stalled_until = -1
        self.held: int | None = None  # a call that waits for what an answer brings
        self.calls = 0
        self.leaving_since = 0
        self.knots = False  # end stretches at knots of the context, where what the engine asks of capacities changes
        self.current: tuple[StepPrice, int] | None = None
        self.notices: deque[tuple[int, Request]] = deque()
        self.sequence = 0
        self.scheduled_tokens = 0
        self.recomputed_tokens = 0
        self.wasted_rows = 0
        self.preemptions = 0
        self.prices: dict[int, StepPrice] = {}

    # -- what comes in -------------------------------------------------------------------------------------------

    def submit(self, request: Request, alone: int) -> None:
        """Deliver ``request`` at alone time ``alone`` (not before an earlier one, not before the last call)."""
        request.arrival_alone = alone
        reason = self.admission.refusal(request)
        if reason is not None:
            request.status, request.reason = "rejected", reason
            self.reject(request, alone)
            return
        self.inbox.append(request)
        if self.stalled_until >= FAR:
            self.stalled_until = alone

    def kv_arrived(self, request: Request, alone: int) -> None:
        """The KV that ``request`` was waiting for is here at ``alone``."""
        self.remote.arrives(request, alone)

    def release_kv(self, request: Request, alone: int) -> None:
        """Whoever read the KV of ``request``, finished with ``keeps_kv``, is done with it at ``alone``."""
        self.remote.releases(request, alone)

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
            return end
        first = FAR
        if self.inbox:
            first = self.inbox[0].arrival_alone
        if self.mail and self.mail[0][0] < first:
            first = self.mail[0][0]
        if first == FAR:
            return None
        return first if first > end else end

    def advance(self, until: int = FAR, *, inclusive: bool = False) -> None:
        """Execute every call that happens before ``until`` (or at it, with ``inclusive``).

        With a listener for finished requests the engine stops where its answer could matter: before any call that
        is not earlier than a finish that has not been announced.
        """
        limit = until + 1 if inclusive else until
        notices, rows, pipeline, waiting = self.notices, self.rows, self.pipeline, self.admission.waiting
        while True:
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
            self._end_rows()
        elif self.leaving and self.leaving_since < self.calls:
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

    # -- rows that end -------------------------------------------------------------------------------------------

    def _end_rows(self) -> None:
        """Rows that have had their last step leave; whose output is known now is freed, in running order."""
        rows, size = self.rows, self.config.block_size
        known: list[Request] = []
        if self.leaving and self.leaving_since < self.calls:
            known, self.leaving = self.leaving, []
        for request in rows.pop_due():
            beats = rows.beat - request.join_beat
            request.pages = -(-(request.offset + rows.beat) // size)
            if self.log is not None:
                self.log.left(request, rows.beat)
            rows.leave(request)
            if self.pipeline.depth == 1:
                self.announce(request, rows.end if beats else request.last_token)
                known.append(request)
            elif request.ends_by_eos:
                self.wasted_rows += 1
                self.announce(request, rows.end_before if beats > 1 else request.last_token)
                known.append(request)
            else:  # scheduled no more, but its pages are free only when the output in flight is known
                self.announce(request, rows.end if beats else request.last_token)
                self.leaving.append(request)
                self.leaving_since = self.calls
        if len(known) > 1:
            known.sort(key=lambda request: request.sequence)
        for request in known:
            self.free(request)

    def announce(self, request: Request, time: int) -> None:
        """The last token of ``request`` is there at ``time``."""
        request.finish = time
        request.status = "completed"
        self.journal.finished(self.replica, request)
        if self.listened:
            self.notices.append((time, request))

    def free(self, request: Request) -> None:
        """Take an ended request out and give back its pages, unless somebody still reads them."""
        del self.running[request]
        if request.keeps_kv:
            self.remote.keep(request)
        else:
            self.pool.release(request, request.prompt_tokens + request.output_tokens - 1)
        self.admission.blocked = False

    def free_leaving(self) -> None:
        """The outputs in flight are known: their requests give back their pages."""
        for request in self.leaving:
            self.free(request)
        self.leaving.clear()

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

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...]) -> StepPrice:
        """What a step costs; a model with sliding windows is asked with the sums of contexts under them, too."""
        if self.windows:
            return self.pricer.price(shape, context, windowed)
        return self.pricer.price(shape, context)

    def run(
        self,
        call: int,
        decodes: int,
        context: int,
        chunks: list[tuple[Request, int]],
        windowed: tuple[int, ...] | None = None,
    ) -> None:
        """One step: ``decodes`` rows that attend to ``context`` tokens, and prompt chunks.

        ``windowed`` are the sums under sliding windows where not all rows, nor none, are in the step.
        """
        rows, pipeline = self.rows, self.pipeline
        prefill = 0
        spans: list[tuple[int, int]] = []
        done: list[Request] = []
        for request, tokens in chunks:
            prefill += tokens
            spans.append((tokens, request.computed - tokens))
            if request.computed == request.known:
                done.append(request)
        if windowed is None:
            windowed = ()
            if self.windows:
                windowed = rows.windowed() if decodes else (0,) * len(self.windows)
        price = self.price(StepShape(decodes, tuple(spans), decodes + len(done)), context, windowed)
        device = price.base + price.slope * context
        price.steps += 1
        price.contexts += context
        if windowed:
            device = price.device(context, windowed)
            for j in range(len(price.windowed)):
                price.windowed[j] += windowed[j]
        if self.knots:
            self.current = (price, knot_end(context))
        start = pipeline.end if pipeline.end > call else call
        end = pipeline.step(call, price.host, device)
        self.scheduled_tokens += decodes + prefill
        late = 0
        if decodes:
            if rows.late:
                late = rows.catch_up(self.journal, end)
        elif rows.count and not rows.late:
            rows.late.append([rows.end, rows.count])
        self.journal.stretch(self, 1, start, end - start, 0, decodes, prefill, context, price, late, windowed)
        if self.log is not None:
            self.log.ran(self.step, 1, rows, decodes)
            for request, tokens in chunks:
                self.log.computed(request, self.step, tokens)
        self.step += 1
        if decodes:
            rows.beat += 1
            rows.end_before, rows.end = rows.end, end
        if done:
            self._join(done, end)
            if self.partials:
                self.partials = [r for r in self.partials if r.computed < r.known]

    def _join(self, done: list[Request], end: int) -> None:
        """Prompts that this step completed give a token at its end and are decode rows from the next beat on."""
        rows = self.rows
        if rows.late:
            rows.late.append([end, len(done)])
        elif not rows.count:
            rows.end = end
        for request in done:
            if request.first_token is None:
                request.first_token = end
            else:
                self.journal.gap(end - request.last_token)
            request.last_token = end
            request.emitted += 1
            steps = request.output_tokens - request.emitted
            if request.ends_by_eos and self.pipeline.depth > 1:
                steps += 1
            rows.join(request, request.computed, steps)
            if self.log is not None:
                self.log.joined(request, rows.beat, rows.number)

    def preempt(self, request: Request, given: int = 0) -> None:
        """Take everything from ``request``, which gives back ``given`` tokens of this call; see ``preemption``."""
        preempt(self, request, given)

    def reject(self, request: Request, time: int | None = None) -> None:
        """A request that is not served ends here, counted with its reason (at ``time``, or when the device is idle)."""
        self.journal.rejected(self.replica, request)
        if not self.listened:
            return
        time = max(self.pipeline.end, request.arrival_alone) if time is None else time
        notices = self.notices
        place = len(notices)
        while place and notices[place - 1][0] > time:
            place -= 1
        notices.insert(place, (time, request))
