"""The common regime of an engine in one loop: whole prompts that board, rows that end, and the stretches between."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICK_BITS, StepPrice, StepShape
from hwsim.serving.boarding import board
from hwsim.serving.ending import end_rows
from hwsim.serving.journal import PACK_STRETCH
from hwsim.serving.landing import land
from hwsim.serving.pipeline import FAR, least_steps

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

# Why the loop was left: ``limit``, KV from elsewhere is here, prompts that do not board one by one, all else, and a
# stretch that can wait.
LIMIT, MAIL, CROWD, OTHER, LATER = range(5)
# Contexts in which it holds, those in which its price does, base, slope per token and per step, host, bound, price.
Piece = tuple[int, int, int, int, int, int, int, int, StepPrice]
_shape = tuple.__new__  # of a named tuple, without the detour through its own constructor


def can_cruise(engine: Engine) -> bool:
    """True when the next call is a busy engine's and nobody but the decode rows wants anything of it."""
    if engine.partials or engine.ready or engine.held is not None or (engine.notices and engine.waits):
        return False
    if engine.stalled_until > engine.pipeline.end_before or engine.rows.count > engine.config.max_num_batched_tokens:
        return False
    if not engine.admission.waiting:
        return True
    return not engine.scheduler.decides() and engine.scheduler.next_look() >= FAR


def cruise(engine: Engine, limit: int) -> int | None:
    """Execute calls before ``limit``; returns the first that is out of the ordinary, begun but undecided, or None.

    ``engine.lazy``: a stretch that only ``limit`` would cut is left for later, so that it becomes one row of the
    journal; the call that begins it may have seen who ends.
    """
    mail, boards = engine.mail, engine.scheduler.lets_in_whole
    begun = bool(engine.leaving) and engine.leaving_since == engine.calls  # a call that was left before its stretch
    while True:
        stop = mail[0][0] if mail and mail[0][0] < limit else limit
        call, why = _loop(engine, limit, stop, begun)
        if why == LIMIT:
            engine.calls += 1
            return None
        if why == LATER:
            return None
        if why == OTHER or not boards:
            return call
        comes = why == MAIL or engine.inbox[0].remote_tokens
        done = land(engine, call) if comes else board(engine, call)
        if done is False:
            return call
        begun = done is None  # the same call goes on
        engine.calls += not begun


def _loop(engine: Engine, limit: int, stop: int, begun: bool) -> tuple[int, int]:
    """Calls before ``limit`` until one is beyond this loop; returns that call, and why it is.

    ``stop``: the time of the next mail, if that is before ``limit``.  ``begun``: who ends in the first call is out.

    It is ``Engine._call``, ``end_rows``, ``board``, ``stretch.plan`` and ``stretch.take_stretch`` for their most
    frequent case (two steps in flight, the device slower than the host, pages to spare), written as one loop since
    nearly all calls of a run come through here: each figure is asked for once, what changes is kept in local names and
    put back when the loop is left, and no object is made but the rows of the journal.

    A moment joins as one of four parts of a call, each of which does its common case or leaves the loop with nothing
    of its own changed: who ends (their pages are free one call later), who comes (one whole prompt that fits, less
    what of it is cached), how many steps there are until the next moment, and what these take.  A moment that is only
    a time is like ``stop``.

    ``lone``: no page holds anything that somebody could ask for again, so pages are mere counts and come back in any
    order; otherwise the pool keeps its books itself.
    """
    rows, pipeline, journal, inbox, leaving, running, pieces, due, phases, page, paused, packed = engine.deck
    pool, queued, replica, seats = engine.pool, len(engine.admission.waiting), engine.replica, engine.seats
    lone = pool.counts and not pool.index and not engine.keeps and len(pool.queue) == (pool.tail is not None)
    lazy = engine.lazy and stop is limit
    count, offsets, beat, last_end, last_before = rows.count, rows.offsets, rows.beat, rows.end, rows.end_before
    end, before, host_free = pipeline.end, pipeline.end_before, pipeline.host_free
    call, lag, busy = (before, before - host_free, 0) if before > host_free else (host_free, before - host_free, 0)
    free, blank, evicted, step = pool.free, pool.blank, 0, engine.step
    scheduled = -offsets - count * beat  # what rows had computed is taken off what they will have in the end
    finish, _, request = due[0]
    if request.finish_beat != finish:
        finish = rows.next_due()
    arrival = inbox[0].arrival_alone if inbox else FAR
    why = OTHER
    while True:
        if call >= limit:
            why = LIMIT
            break
        # -- who ends: rows that have had their last step; those before them are out, their pages are free
        ending = finish <= beat
        if begun:
            begun = False
        elif leaving and (lone or not ending):
            if lone:
                for request in leaving:
                    del running[request]
                    pages = request.pages
                    request.pages = 0
                    free += pages
                    blank += pages - (request.prompt_tokens + request.output_tokens - 1) // page
                leaving.clear()
            else:
                engine.free_leaving()
                free, blank = pool.free, pool.blank
            if queued:
                engine.admission.blocked = False
                if not ending:
                    break
        if ending:
            engine.calls += 1
            if lone:
                engine.leaving_since = engine.calls
                while due and due[0][0] <= beat:
                    finish, sequence, request = heappop(due)
                    if request.finish_beat != finish or request.sequence != sequence:
                        continue  # it had left before
                    offset = request.offset
                    phases[-offset % page] -= 1
                    count -= 1
                    offsets -= offset
                    request.finish_beat = -1
                    computed = offset + beat
                    scheduled += computed
                    request.pages = pages = -(-computed // page)
                    request.status = "completed"
                    if request.ends_by_eos:
                        engine.wasted_rows += 1
                        request.finish = last_before if beat - request.join_beat > 1 else request.last_token
                        del running[request]
                        request.pages = 0
                        free += pages
                        blank += pages - (request.prompt_tokens + request.output_tokens - 1) // page
                        if queued:
                            engine.admission.blocked = False
                    else:  # scheduled no more, but its pages are free only when the output in flight is known
                        request.finish = last_end if beat > request.join_beat else request.last_token
                        leaving.append(request)
                    journal.finished(replica, request)
                    if engine.listened:
                        engine.notices.append((request.finish, request))
            else:
                rows.beat, rows.count, rows.offsets = beat, count, offsets
                rows.end, rows.end_before = last_end, last_before
                end_rows(engine)
                scheduled += offsets - rows.offsets + (count - rows.count) * beat
                count, offsets, free, blank = rows.count, rows.offsets, pool.free, pool.blank
            if due:
                finish, _, request = due[0]
                if request.finish_beat != finish:
                    finish = rows.next_due()
            if queued or not count or (engine.waits and engine.notices):
                break
        if call >= stop:
            why = MAIL
            break
        context = offsets + count * (beat + 1)
        first = beat % page
        # -- who comes: one whole prompt, computed in a step of its own beside the rows
        if arrival <= call:
            request = inbox[0]
            tokens = request.known
            pages, need = -(-tokens // page), phases[first]
            if (
                queued
                or paused
                or not engine.scheduler.lets_in_whole
                or engine.remote.connector is not None
                or (len(inbox) > 1 and inbox[1].arrival_alone <= call)
                or tokens > engine.scheduler.budget - count
                or pages > free - need - engine.admission.watermark
                or len(running) >= seats
                or request.remote_tokens
                or request.cached_tokens >= 0
            ):
                why = CROWD
                break
            cached = 0
            request.pages = pages
            if request.prefix_ids is not None and pool.caching:
                if lone:
                    pool.settle(free, blank, evicted)
                    lone = False
                pool.take(need)
                need, request.pages, (cached, _, holds) = 0, 0, engine.scheduler.find(request)
                if cached:
                    pool.touch(request, cached, holds)
                pool.take(pages - cached)
                request.pages = pages
                pool.register(request, tokens)
                pages, cached, free = 0, cached * page, pool.free
                scheduled -= cached
            prompt = (tokens - cached, cached)
            price = engine.pricer.price(_shape(StepShape, (count, (prompt,), count + 1)), context)
            start, called = (end if end > call else call), call
            busy = price.host
            before, lag = end, end - call
            call += busy
            if call > end:
                end = call
            else:
                call = before
            end += price.base + price.slope * context
            last_before, last_end = last_end, end
            price.steps += 1
            price.contexts += context
            steps, duration, growth, prefill, late = 1, end - start, 0, prompt[0], 0
            beat += 1
            inbox.popleft()
            arrival = inbox[0].arrival_alone if inbox else FAR
            running[request] = None
            request.computed = tokens
            request.cached_tokens = cached
            request.status = "running"
            request.scheduled = called
            request.first_token = request.last_token = end
            request.emitted = 1
            request.rows = rows
            engine.sequence = request.sequence = sequence = engine.sequence + 1
            request.join_beat = beat
            request.offset = offset = tokens - beat
            request.finish_beat = last = beat + request.output_tokens - 1 + request.ends_by_eos
            if last < finish:
                finish = last
            phases[-offset % page] += 1
            heappush(due, (last, sequence, request))
            if not price.bound_low <= context <= price.bound_high:
                price.find_bound(context)
            code = journal.bounds.get(price.bounded)
            if code is None:
                code = journal.code(price.bounded)
            pages += need
            decodes = count
            count += 1
            offsets += offset
        else:
            # -- how many steps until the next moment
            decodes, prefill, late = count, 0, 0
            piece = pieces.get(count)
            if piece is None or not piece[0] <= context <= piece[1]:
                piece = pieces[count] = find_piece(engine, count, context)
            _, _, most, base, slope, growth, host, code, price = piece
            duration = base + slope * context
            if call + host > end or host > duration:
                break
            steps = finish - beat
            if steps > 1:
                if queued and leaving:
                    steps = 1
                elif context + count * (steps - 1) > most:
                    steps = (most - context) // count + 1
                moment = stop
                if arrival < stop and ((not queued and len(running) < seats) or engine.scheduler.could_admit()):
                    moment = arrival
                if moment < FAR:  # the second call is at the end of the step in flight, the third one step later
                    distance, inner = moment - end, steps - 2
                    if distance <= 0 or inner * duration + growth * (inner * (inner - 1) >> 1) >= distance:
                        if lazy and moment is stop:
                            why = LATER
                            break
                        steps = 1 if distance <= 0 else 1 + least_steps(duration, growth, distance)
            last = first + steps % page
            pages = sum(phases[first:last]) if last <= page else count - sum(phases[last - page : first])
            if steps >= page:
                pages += steps // page * count
            if pages > free:
                break
            if leaving and steps > 1:  # they free theirs one call into the stretch: the queue's order depends on it
                need = phases[first]
                pages -= need
                if lone:
                    free -= need
                    blank -= need
                    if blank < 0:
                        evicted -= blank
                        blank = 0
                    for request in leaving:
                        del running[request]
                        held = request.pages
                        request.pages = 0
                        free += held
                        blank += held - (request.prompt_tokens + request.output_tokens - 1) // page
                    leaving.clear()
                else:
                    pool.take(need)
                    engine.free_leaving()
                    free = pool.free
            if paused:
                late = rows.catch_up(journal, (end if end > call else call) + duration)
            # -- their times
            triangle = steps * (steps - 1) >> 1
            price.steps += steps
            price.contexts += steps * context + count * triangle
            beat += steps
            start = end if end > call else call
            busy = host
            if steps == 1:
                before, lag = end, end - call
                end += duration
                last_before, last_end = last_end, end
            else:
                lag = duration + growth * (steps - 2)
                end += steps * duration + growth * triangle
                before = last_before = end - lag - growth
                last_end = end
            call = before
        # -- what they take
        free -= pages
        if lone:
            blank -= pages
            if blank < 0:
                evicted -= blank
                blank = 0
        else:
            pool.take(pages)
            blank = pool.blank
        packed += PACK_STRETCH(
            replica,
            step,
            steps,
            start >> SUBTICK_BITS,
            duration,
            growth,
            decodes,
            prefill,
            context,
            len(running),
            queued,
            free,
            free - blank,
            code,
            late,
        )
        step += steps
    rows.count, rows.offsets, rows.beat, rows.end, rows.end_before = count, offsets, beat, last_end, last_before
    pipeline.end, pipeline.end_before, pipeline.host_free = end, before, before - lag + busy
    if lone:
        pool.settle(free, blank, evicted)
    engine.step = step
    engine.scheduled_tokens += scheduled + offsets + count * beat
    return call, why


def find_piece(engine: Engine, count: int, context: int) -> Piece:
    """What the loop asks of the price of ``count`` rows, and the contexts in which all of it holds."""
    price = engine.prices.get(count)
    if price is None or not price.low <= context <= price.limit:
        price = engine.prices[count] = engine.pricer.price(StepShape(count, (), count), context)
    price.find_bound(context)
    low, high = max(price.low, price.bound_low), min(price.limit, price.bound_high)
    code, slope = engine.journal.code(price.bounded), price.slope
    return low, high, price.limit, price.base, slope, slope * count, price.host, code, price
