"""The common regime of an engine in one loop: whole prompts that board, rows that end, and the stretches between."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICK_BITS, StepShape
from hwsim.serving.boarding import board
from hwsim.serving.ending import end_rows
from hwsim.serving.journal import PACK_STRETCH
from hwsim.serving.pipeline import FAR, steps_until

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

LIMIT, CROWD, OTHER = range(3)  # why the loop was left: ``stop``, prompts that do not board one by one, all else
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
    """Execute calls before ``limit``; returns the first that is out of the ordinary, begun but undecided, or None."""
    mail, boards = engine.mail, engine.scheduler.lets_in_whole
    stop = mail[0][0] if mail and mail[0][0] < limit else limit
    while True:
        call, why = _loop(engine, stop)
        if why == LIMIT:
            engine.calls += 1
            return None if call >= limit else call
        if why == OTHER or not (boards and board(engine, call)):
            return call
        engine.calls += 1


def _loop(engine: Engine, stop: int) -> tuple[int, int]:
    """Calls before ``stop`` until one is beyond this loop; returns that call, and why it is.

    It is ``Engine._call``, ``end_rows``, ``board``, ``stretch.plan`` and ``stretch.take_stretch`` for their most
    frequent case (two steps in flight, the device slower than the host, pages to spare), written as one loop since
    nearly all calls of a run come through here: each figure is asked for once, what changes is kept in local names and
    put back when the loop is left, and no object is made but the rows of the journal.

    A moment joins as one of four parts of a call, each of which does its common case or leaves the loop with nothing
    of its own changed: who ends (their pages are free one call later), who comes (one whole prompt that fits), how many
    steps there are until the next moment, and what these take.  A moment that is only a time is one more ``stop``.

    ``lone``: no free page holds anything that somebody could ask for again, so pages are mere counts and come back in
    any order; otherwise the pool keeps its books itself.
    """
    rows, pipeline, pool, journal = engine.rows, engine.pipeline, engine.pool, engine.journal
    inbox, leaving, running, queued = engine.inbox, engine.leaving, engine.running, len(engine.admission.waiting)
    prices, due, phases, page, paused = engine.prices, rows.due, rows.phases, rows.page, rows.late
    packed, bounds, pricer, replica = journal.packed, journal.bounds, engine.pricer, engine.replica
    scheduler, seats, kept = engine.scheduler, engine.config.max_num_seqs, engine.admission.watermark
    boards = scheduler.lets_in_whole and not queued and engine.remote.connector is None
    budget, caching = scheduler.budget, pool.caching
    lone = pool.lone and not engine.keeps
    count, offsets, beat, last_end, last_before = rows.count, rows.offsets, rows.beat, rows.end, rows.end_before
    end, before, host_free = pipeline.end, pipeline.end_before, pipeline.host_free
    free, blank, evicted, step, scheduled = pool.free, pool.blank, 0, engine.step, 0
    why = OTHER
    while True:
        call = before if before > host_free else host_free
        if call >= stop:
            why = LIMIT
            break
        # -- who ends: rows that have had their last step; those before them are out, their pages are free
        ending = due[0][0] <= beat
        if leaving and (lone or not ending):
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
                    phase = -offset % page
                    phases[phase] -= 1
                    phases[phase + page] -= 1
                    count -= 1
                    offsets -= offset
                    request.finish_beat = -1
                    request.pages = pages = -(-(offset + beat) // page)
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
                count, offsets, free, blank = rows.count, rows.offsets, pool.free, pool.blank
            if queued or not count or (engine.waits and engine.notices):
                break
        context = offsets + count * (beat + 1)
        first = beat % page
        # -- who comes: one whole prompt, computed in a step of its own beside the rows
        arrival = inbox[0].arrival_alone if inbox else FAR
        if arrival <= call:
            request = inbox[0]
            tokens = request.known
            pages, need = -(-tokens // page), phases[first]
            if (
                not boards
                or paused
                or (len(inbox) > 1 and inbox[1].arrival_alone <= call)
                or tokens > budget - count
                or pages > free - need - kept
                or len(running) >= seats
                or request.remote_tokens
                or request.cached_tokens >= 0
                or (caching and request.prefix_ids is not None)
            ):
                why = CROWD
                break
            price = pricer.price(_shape(StepShape, (count, ((tokens, 0),), count + 1)), context)
            start = end if end > call else call
            host_free = call + price.host
            before = end
            end = (host_free if host_free > end else end) + price.base + price.slope * context
            last_before, last_end = last_end, end
            price.steps += 1
            price.contexts += context
            steps, duration, slope, prefill, late = 1, end - start, 0, tokens, 0
            beat += 1
            inbox.popleft()
            running[request] = None
            request.computed = tokens
            request.pages = pages
            request.cached_tokens = 0
            request.status = "running"
            request.scheduled = call
            request.first_token = request.last_token = end
            request.emitted = 1
            request.rows = rows
            engine.sequence = request.sequence = sequence = engine.sequence + 1
            request.join_beat = beat
            request.offset = offset = tokens - beat
            request.finish_beat = finish = beat + request.output_tokens - 1 + request.ends_by_eos
            phase = -offset % page
            phases[phase] += 1
            phases[phase + page] += 1
            heappush(due, (finish, sequence, request))
            pages += need
            decodes = count
            count += 1
            offsets += offset
        else:
            # -- how many steps until the next moment
            decodes, prefill, late = count, 0, 0
            price = prices.get(count)
            if price is None or not price.low <= context <= price.limit:
                price = prices[count] = pricer.price(StepShape(count, (), count), context)
            duration, host = price.base + price.slope * context, price.host
            if call + host > end or host > duration:
                break
            slope = price.slope * count
            finish, sequence, request = due[0]
            if request.finish_beat != finish or request.sequence != sequence:
                finish = rows.next_due()
            steps = finish - beat
            if steps > 1:
                if leaving and queued:
                    steps = 1
                elif context + count * (steps - 1) > price.limit:
                    steps = (price.limit - context) // count + 1
                moment = stop
                if arrival < stop and ((not queued and len(running) < seats) or scheduler.could_admit()):
                    moment = arrival
                if moment < FAR:  # the second call is at the end of the step in flight, the third one step later
                    distance, inner = moment - end, steps - 2
                    if distance <= 0:
                        steps = 1
                    elif inner * duration + slope * (inner * (inner - 1) >> 1) >= distance:
                        steps = 1 + steps_until(duration, slope, distance, inner)
            if steps < page:
                pages = sum(phases[first : first + steps])
            else:
                pages = steps // page * count + sum(phases[first : first + steps % page])
            if pages > free:
                break
            if (
                leaving and steps > 1
            ):  # they free theirs one call into the stretch: the order of the queue depends on it
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
            if steps == 1:
                host_free = call + host
                before = end
                end += duration
                last_before, last_end = last_end, end
            else:
                last = duration + slope * (steps - 1)
                end += steps * duration + slope * triangle
                before = last_before = end - last
                host_free = before - last + slope + host
                last_end = end
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
        if not price.bound_low <= context <= price.bound_high:
            price.find_bound(context)
        code = bounds.get(price.bounded)
        if code is None:
            code = journal.code(price.bounded)
        packed += PACK_STRETCH(
            replica,
            step,
            steps,
            start >> SUBTICK_BITS,
            duration,
            slope,
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
        scheduled += steps * decodes + prefill
    rows.count, rows.offsets, rows.beat, rows.end, rows.end_before = count, offsets, beat, last_end, last_before
    pipeline.end, pipeline.end_before, pipeline.host_free = end, before, host_free
    if lone:
        pool.settle(free, blank, evicted)
    engine.step = step
    engine.scheduled_tokens += scheduled
    return call, why
