"""One engine replica, step for step as vLLM V1 schedules, with stretches of equal steps jumped over."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hwsim.cost.price import SUBTICKS_PER_SECOND, Pricer, StepPrice, StepShape
from hwsim.serving.admission import Admission
from hwsim.serving.batch import DecodeRows
from hwsim.serving.exact import schedule_exactly
from hwsim.serving.journal import Journal
from hwsim.serving.kv.pool import PagePool
from hwsim.serving.pipeline import Pipeline, steps_until
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog

FAR = 1 << 120  # beyond any time: a run of 2^62 subticks is only an hour and a quarter
SERIAL, DEVICE, HOST, SINGLE = range(4)  # which closed form holds: one step in flight, or what binds when two are
Plan = tuple[int, int, int, int, int, int, StepPrice]  # regime, steps, host, device, slope, context, price
MOST_FRUITLESS_STEPS = 1000


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What one engine was started with; names and defaults are vLLM's (0.33), sizes in tokens, pages or rows."""

    num_gpu_blocks: int
    block_size: int = 16
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    max_model_len: int = 1 << 40
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    async_scheduling: bool = True
    scheduling_policy: str = "fcfs"
    watermark: float = 0.0
    long_prefill_token_threshold: int = 0
    reserve_full_prompt: bool = True
    unhashed_first: bool = True
    threshold_spares_single: bool = True


class Engine:
    """Continuous batching on one replica: decodes in lockstep, chunked prefill, paged KV, pre-emption by recompute.

    The engine is a machine in its own *alone time* (integer subticks): what it decides depends only on the order of
    calls and arrivals there.  ``advance(until)`` executes every call that starts before ``until``; between two
    moments that can change the schedule it takes one macro-step.  Those moments are, in one place (``_stretch``): an
    arrival that could be admitted, the first row to end, the pool running out of pages, the end of the price's
    affine piece, host and device changing places, and the horizon ``until``.  ``single_step`` takes every step alone;
    both give equal schedules and equal times.

    Main simplification: all decode rows get one token in each step (the lemma of FCFS scheduling); where pages run
    short or several prompts are unfinished, ``schedule_exactly`` walks the running list as vLLM does.
    """

    __slots__ = (
        "_prices",
        "admission",
        "calls",
        "config",
        "current",
        "fruitless",
        "inbox",
        "journal",
        "knots",
        "leaving",
        "leaving_since",
        "listened",
        "log",
        "notices",
        "partials",
        "pipeline",
        "pool",
        "preemptions",
        "pricer",
        "recomputed_tokens",
        "replica",
        "rows",
        "running",
        "scheduled_tokens",
        "sequence",
        "single_step",
        "stalled_until",
        "step",
        "wasted_rows",
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
        self.listened = False  # somebody acts on answers: stop where one could matter
        self.pool = PagePool(
            config.num_gpu_blocks,
            config.block_size,
            enable_prefix_caching=config.enable_prefix_caching,
            unhashed_first=config.unhashed_first,
        )
        self.rows = DecodeRows(config.block_size)
        self.pipeline = Pipeline(2 if config.async_scheduling else 1)
        self.admission = Admission(self)
        self.running: dict[Request, None] = {}  # in order of admission
        self.partials: list[Request] = []  # unfinished prompts among them
        self.leaving: list[Request] = []  # ended by length, output still in flight: scheduled no more, not yet freed
        self.inbox: deque[Request] = deque()  # arrivals not yet visible, in time order
        self.step = 0
        self.stalled_until = -1
        self.calls = 0
        self.leaving_since = 0
        self.knots = False  # end stretches at knots of the context, where what the engine asks of capacities changes
        self.current: tuple[StepPrice, int] | None = None
        self.notices: deque[tuple[int, Request]] = deque()
        self.sequence = 0
        self.fruitless = 0
        self.scheduled_tokens = 0
        self.recomputed_tokens = 0
        self.wasted_rows = 0
        self.preemptions = 0
        self._prices: dict[int, StepPrice] = {}

    # -- what comes in -------------------------------------------------------------------------------------------

    def submit(self, request: Request, alone: int) -> None:
        """Deliver ``request`` at alone time ``alone`` (not before an earlier one, not before the last call)."""
        request.arrival_alone = alone
        self.inbox.append(request)

    # -- the loop ------------------------------------------------------------------------------------------------

    def next_call(self) -> int | None:
        """Alone time of the next call of the scheduler that may do something, or None while nothing is known."""
        if self.rows.count or self.partials or self.admission.waiting:
            return max(self.pipeline.next_call(), self.stalled_until)
        return self._idle_call()

    def _idle_call(self) -> int | None:
        end = self.pipeline.end
        if self.leaving:
            return end
        if not self.inbox:
            return None
        arrival = self.inbox[0].arrival_alone
        return arrival if arrival > end else end

    def advance(self, until: int = FAR, *, inclusive: bool = False) -> None:
        """Execute every call that happens before ``until`` (or at it, with ``inclusive``).

        With a listener for finished requests the engine stops where its answer could matter: before any call that
        is not earlier than a finish that has not been announced.
        """
        limit = until + 1 if inclusive else until
        notices, rows, pipeline, waiting = self.notices, self.rows, self.pipeline, self.admission.waiting
        while True:
            if notices and notices[0][0] < limit:
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
        if rows.due and rows.due[0][0] <= step:
            self._end_rows(step)
        elif self.leaving and self.leaving_since < self.calls:
            self._free_leaving()
        if self.notices and self.notices[0][0] < limit:
            limit = self.notices[0][0]
            if limit <= call:
                return  # whoever listens may answer before this call decides
        self.calls += 1
        inbox = self.inbox
        while inbox and inbox[0].arrival_alone <= call:
            admission.arrive(inbox.popleft())
        admission.tried = False
        if (
            self.partials
            or (admission.waiting and admission.possible())
            or rows.count > self.config.max_num_batched_tokens
        ):
            self._mixed(call)
        elif rows.count:
            self._stretch(call, limit)
        if self.step == step and not rows.count:
            self._stall(call)

    def _stall(self, call: int) -> None:
        """Nothing could be scheduled: wait for the output in flight, or give up what can never be served."""
        self.stalled_until = self.pipeline.end
        if self.admission.tried and call >= self.pipeline.end and not self.running and self.admission.waiting:
            self.admission.reject_head()

    # -- rows that end -------------------------------------------------------------------------------------------

    def _end_rows(self, step: int) -> None:
        """Rows that have had their last step leave; whose output is known now is freed, in running order."""
        pipeline, size = self.pipeline, self.config.block_size
        known: list[Request] = []
        if self.leaving and self.leaving_since < self.calls:
            known, self.leaving = self.leaving, []
        for request in self.rows.pop_due(step):
            request.pages = -(-(request.offset + step) // size)
            if self.log is not None:
                self.log.left(request, step)
            self.rows.leave(request)
            if pipeline.depth == 1:
                self._announce(request, pipeline.end)
                known.append(request)
            elif request.ends_by_eos:
                self.wasted_rows += 1
                self._announce(request, pipeline.end_before)
                known.append(request)
            else:  # scheduled no more, but its pages are free only when the output in flight is known
                self._announce(request, pipeline.end)
                self.leaving.append(request)
                self.leaving_since = self.calls
        if len(known) > 1:
            known.sort(key=lambda request: request.sequence)
        for request in known:
            self._free(request)

    def _announce(self, request: Request, time: int) -> None:
        request.finish = time
        request.status = "completed"
        self.journal.finished(self.replica, request)
        if self.listened:
            self.notices.append((time, request))

    def _free(self, request: Request) -> None:
        del self.running[request]
        self.pool.release(request, request.prompt_tokens + request.output_tokens - 1)
        self.admission.blocked = False

    def _free_leaving(self) -> None:
        for request in self.leaving:
            self._free(request)
        self.leaving.clear()

    # -- one step with prefill -----------------------------------------------------------------------------------

    def _mixed(self, call: int) -> None:
        """One step that computes prompts: the decode rows, unfinished prompts, then admissions."""
        rows, pool, step = self.rows, self.pool, self.step
        decodes = rows.count
        budget = self.config.max_num_batched_tokens - decodes
        need = rows.pages(step, 1)
        chunks: list[tuple[Request, int]] = []
        plan = self._continue_partials(budget, pool.free - need) if self.partials else ()
        if plan is None or budget < 0 or need > pool.free:
            decodes, context, chunks, preempted = schedule_exactly(self)
            budget = self.config.max_num_batched_tokens - decodes - sum(tokens for _, tokens in chunks)
        else:
            preempted = False
            context = rows.context(step)
            if need:
                pool.take(need)
            for request, tokens, pages in plan:
                pool.take(pages)
                self.compute(request, tokens, pages)
                chunks.append((request, tokens))
                budget -= tokens
        if not preempted:
            self.admission.admit(budget, chunks, call)
        if decodes or chunks:
            self._run_mixed(call, decodes, context, chunks)
        if preempted:
            self._watch_progress(decodes)

    def _watch_progress(self, decodes: int) -> None:
        """Unfinished prompts can evict each other for ever: after too many such steps the next in line is refused."""
        self.fruitless = 0 if decodes else self.fruitless + 1
        if self.fruitless > MOST_FRUITLESS_STEPS and self.admission.waiting:
            self.fruitless = 0
            self.admission.reject_head("livelock: unfinished prompts pre-empt each other without any output")

    def _continue_partials(self, budget: int, free: int) -> list[tuple[Request, int, int]] | None:
        """What the unfinished prompts compute in this step, or None when order or pages matter."""
        if len(self.partials) > 1:
            return None
        request = self.partials[0]
        tokens = min(self.limited(request.known - request.computed), budget)
        if tokens <= 0:
            return []
        pages = -(-(request.computed + tokens) // self.pool.block_size) - request.pages
        return [(request, tokens, pages)] if pages <= free else None

    def limited(self, tokens: int) -> int:
        """At most ``long_prefill_token_threshold`` tokens of a prompt in one step (0.33: not for a lone request)."""
        threshold = self.config.long_prefill_token_threshold
        if not 0 < threshold < tokens:
            return tokens
        alone = len(self.running) + len(self.admission.waiting) == 1
        return tokens if alone and self.config.threshold_spares_single else threshold

    def compute(self, request: Request, tokens: int, pages: int) -> None:
        """Account ``tokens`` more computed tokens of a prompt on ``pages`` new pages."""
        request.pages += pages
        request.computed += tokens
        if request.prefix_ids is not None:
            self.pool.register(request, request.computed)

    def _run_mixed(self, call: int, decodes: int, context: int, chunks: list[tuple[Request, int]]) -> None:
        step, pipeline = self.step, self.pipeline
        prefill = 0
        spans: list[tuple[int, int]] = []
        done: list[Request] = []
        for request, tokens in chunks:
            prefill += tokens
            spans.append((tokens, request.computed - tokens))
            if request.computed == request.known:
                done.append(request)
        price = self.pricer.price(StepShape(decodes, tuple(spans), decodes + len(done)), context)
        price.steps += 1
        price.contexts += context
        if self.knots:
            self.current = (price, knot_end(context))
        start = pipeline.end if pipeline.end > call else call
        end = pipeline.step(call, price.host, price.base + price.slope * context)
        self.scheduled_tokens += decodes + prefill
        self.journal.stretch(self, 1, start, end - start, 0, decodes, prefill, context, price)
        if self.log is not None:
            for request, tokens in chunks:
                self.log.computed(request, step, tokens)
        self.step = step + 1
        if done:
            self._join(done, end)
            if self.partials:
                self.partials = [r for r in self.partials if r.computed < r.known]

    def _join(self, done: list[Request], end: int) -> None:
        """Prompts that this step completed give a token at its end and are decode rows from the next step on."""
        for request in done:
            if request.first_token is None:
                request.first_token = end
            else:
                self.journal.gap(end - request.last_token)
            request.emitted += 1
            steps = request.output_tokens - request.emitted
            if request.ends_by_eos and self.pipeline.depth == 2:
                steps += 1
            self.rows.join(request, self.step, request.computed, steps)
            if self.log is not None:
                self.log.joined(request, self.step)

    # -- many steps at once --------------------------------------------------------------------------------------

    def _stretch(self, call: int, limit: int) -> None:
        """Decode steps in closed form up to the first moment that can change the schedule."""
        regime, steps, host, device, slope, context, price = self._plan(call, limit)
        step, rows, pool, pipeline = self.step, self.rows, self.pool, self.pipeline
        pages = rows.pages(step, steps)
        if pages > pool.free:
            steps, pages = self._until_full(step, steps)
            if not steps:
                self._mixed(call)
                return
        if self.leaving and steps > 1:
            pages -= self._free_inside(step)
        if pages:
            pool.take(pages)
        count = rows.count
        triangle = steps * (steps - 1) >> 1
        price.steps += steps
        price.contexts += steps * context + count * triangle
        self.scheduled_tokens += steps * count
        if self.knots:
            self.current = (price, knot_end(context))
        before = pipeline.end
        start = before if before > call else call
        last = device + slope * (steps - 1)
        if regime == DEVICE:
            first = device
            pipeline.end = end = before + steps * device + slope * triangle
            pipeline.host_free = (call if steps == 1 else end - last - last + slope) + host
            pipeline.end_before = before if steps == 1 else end - last
        elif regime == SERIAL:
            first = host + device
            pipeline.end = call + steps * first + slope * triangle
        elif regime == HOST:
            first = call + host + device - start
            pipeline.end = end = call + steps * host + last
            pipeline.host_free = call + steps * host
            pipeline.end_before = before if steps == 1 else end - host - slope
            slope = 0
        else:
            first = pipeline.step(call, host, device) - start
        self.journal.stretch(self, steps, start, first, slope, count, 0, context, price)
        self.step = step + steps

    def _free_inside(self, step: int) -> int:
        """Requests in flight free their pages one call into a stretch: the order of the queue depends on it."""
        first = self.rows.pages(step, 1)
        self.pool.take(first)
        free = self.pool.free
        self._free_leaving()
        if self.log is not None:
            self.log.freed[step + 1] = self.pool.free - free
        return first

    def _plan(self, call: int, limit: int) -> Plan:
        """The longest stretch from ``call`` on, pages aside: every other moment that can change the schedule."""
        rows, pipeline, step = self.rows, self.pipeline, self.step
        count = rows.count
        context = rows.offsets + count * (step + 1)
        price = self._prices.get(count)
        if price is None or not price.low <= context <= price.limit:
            price = self._prices[count] = self.pricer.price(StepShape(count, (), count), context)
        device, slope, host = price.base + price.slope * context, price.slope * count, price.host
        if pipeline.depth == 1:
            regime = SERIAL
        elif call + host <= pipeline.end and host <= device:
            regime = DEVICE
        elif call + host >= pipeline.end and host >= device:
            regime = HOST
        else:
            regime = SINGLE
        steps = rows.next_due() - step
        if self.single_step or regime == SINGLE or (self.leaving and self.admission.waiting):
            return regime, 1, host, device, slope, context, price
        if context + count * (steps - 1) > price.limit:
            steps = (price.limit - context) // count + 1
        if self.knots and steps > 1:
            steps = min(steps, (knot_end(context) - context) // count + 1)
        if regime == HOST:
            if call + device - max(pipeline.end, call) != slope:
                steps = 1  # outputs come host + slope apart only from the second step on
            elif slope:
                steps = min(steps, (host - device) // slope + 1)
        if steps == 1:
            return regime, 1, host, device, slope, context, price
        moment, inbox = limit, self.inbox
        if inbox and inbox[0].arrival_alone < moment and self.admission.could_admit():
            moment = inbox[0].arrival_alone
        if moment < FAR:
            if regime == DEVICE:  # the second call is at the end of the step in flight, the third one step later
                before = 1 + steps_until(device, slope, moment - pipeline.end, steps)
            elif regime == SERIAL:
                before = max(1, steps_until(host + device, slope, moment - call, steps))
            else:
                before = max(1, -(-(moment - call) // host))
            if before < steps:
                steps = before
        return regime, steps, host, device, slope, context, price

    def _until_full(self, step: int, most: int) -> tuple[int, int]:
        """The longest stretch whose pages are there (bisection: pages grow with steps)."""
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) >> 1
            if self.rows.pages(step, middle) <= self.pool.free:
                low = middle
            else:
                high = middle
        return low, self.rows.pages(step, low)

    def boundary(self) -> int | None:
        """Alone time of the next call that can decide anything new, as far as is known now (None: nothing to do)."""
        call = self.next_call()
        rows, pipeline = self.rows, self.pipeline
        if call is None or not rows.count or self.partials or self.leaving or self.admission.possible():
            return call
        if rows.next_due() == self.step:
            return call
        regime, steps, host, device, slope, context, price = self._plan(call, FAR)
        if self.knots and self.current != (price, knot_end(context)):
            return call  # what it asks of shared capacities changes there
        if rows.pages(self.step, steps) > self.pool.free:
            steps, _ = self._until_full(self.step, steps)
        if regime == SERIAL:
            return call + steps * (host + device) + slope * (steps * (steps - 1) >> 1)
        if regime == DEVICE and steps > 1:
            return pipeline.end + (steps - 1) * device + slope * ((steps - 1) * (steps - 2) >> 1)
        if regime == HOST:
            return call + steps * host
        return call if not steps else max(pipeline.end, call + host)

    def demands(self) -> dict[str, float]:
        """What the decode rows ask of each capacity, in units per second of alone time ({} for an idle engine).

        The rates are those at the knot of the summed context (knots 5 % apart), so they are constant over stretches
        and the same whether steps are taken one by one or many at once.
        """
        if self.current is None:
            return {}
        price, context = self.current
        device, host = price.device(context), price.host
        duration = device + host if self.pipeline.depth == 1 else max(device, host)
        seconds = duration / SUBTICKS_PER_SECOND
        return {d.capacity: (d.base + d.slope * context) / seconds for d in price.demands}

    # -- pre-emption ---------------------------------------------------------------------------------------------

    def preempt(self, request: Request, given: int = 0) -> None:
        """Take everything from ``request`` and put it at the front of the queue; it will be computed again.

        ``given``: tokens that this very call had already scheduled for it and that it gives back.
        """
        step, size = self.step, self.config.block_size
        del self.running[request]
        request.preemptions += 1
        self.preemptions += 1
        self.admission.blocked = False
        if request in self.leaving:  # its last token is in flight and will be delivered: it is done
            self.leaving.remove(request)
            self.pool.release(request, request.prompt_tokens + request.output_tokens - 1)
            return
        if request.join_step < 0:
            hashed = request.computed
            request.was_computed = hashed - given
            if request in self.partials:
                self.partials.remove(request)
        else:
            computed = request.was_computed = request.offset + step
            request.emitted += step - request.join_step
            in_flight = self.pipeline.depth == 2
            hashed = computed + given - (in_flight and step + given > request.join_step)
            request.pages = -(-(computed + given) // size)
            request.last_token = self.pipeline.end
            if self.log is not None:
                self.log.left(request, step)
            self.rows.leave(request)
        self.pool.release(request, hashed, may_return=True)
        if request.emitted >= request.output_tokens:
            self._announce(request, self.pipeline.end)  # likewise: only a wasted row was left
            return
        request.known = request.prompt_tokens + request.emitted
        request.computed = 0
        request.join_step = -1
        self.admission.return_to_front(request)

    def reject(self, request: Request) -> None:
        """A request that is not served ends here, counted with its reason."""
        self.journal.rejected(self.replica, request)
        if self.listened:
            self.notices.append((max(self.pipeline.end, request.arrival_alone), request))


def knot_end(context: int) -> int:
    """The last context of the piece that holds ``context``: pieces end at knots that are 5 % apart (at least 1)."""
    knot = 1
    while knot < context:
        knot = max(knot + 1, knot * 21 // 20)
    return knot
