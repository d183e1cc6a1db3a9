"""The common regime of an engine in one loop: whole prompts that board, rows that end, and the stretches between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICK_BITS, StepShape
from hwsim.serving.boarding import board
from hwsim.serving.ending import end_rows
from hwsim.serving.journal import PACK_STRETCH
from hwsim.serving.pipeline import FAR, steps_until

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


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

    It is ``Engine._call``, ``stretch.plan`` and ``stretch.take_stretch`` for their most frequent case (two steps in
    flight, the device slower than the host, pages to spare), written as one loop since nearly all calls of a run come
    through here: each figure is asked for once, and no object is made but the row of the journal.  Left to the general
    form are host and device changing places, pages that run out, prompts that wait or come in chunks, messages, and
    whatever ``Engine.plain`` rules out.
    """
    rows, pipeline, pool, journal = engine.rows, engine.pipeline, engine.pool, engine.journal
    inbox, leaving, running, queued = engine.inbox, engine.leaving, engine.running, len(engine.admission.waiting)
    prices, due, phases, page, paused = engine.prices, rows.due, rows.phases, rows.page, rows.late
    bounds, lets_in_whole, seats = journal.bounds, engine.scheduler.lets_in_whole, engine.config.max_num_seqs
    replica, mail = engine.replica, engine.mail
    stop = mail[0][0] if mail and mail[0][0] < limit else limit
    call = pipeline.next_call()
    while True:
        if call >= stop:
            engine.calls += 1
            return None if call >= limit else call
        beat, head = rows.beat, due[0]
        if head[0] <= beat:
            engine.calls += 1
            end_rows(engine)
            if queued or not rows.count or (engine.notices and engine.waits):
                return call
            head = due[0]
        elif leaving:
            engine.free_leaving()
            if queued:
                return call
        arrival = inbox[0].arrival_alone if inbox else FAR
        if arrival <= call:
            if not (lets_in_whole and board(engine, call)):
                return call
            call = pipeline.next_call()
            continue
        # -- how many steps
        count = rows.count
        context = rows.offsets + count * (beat + 1)
        price = prices.get(count)
        if price is None or not price.low <= context <= price.limit:
            price = prices[count] = engine.pricer.price(StepShape(count, (), count), context)
        device, host, end = price.base + price.slope * context, price.host, pipeline.end
        if call + host > end or host > device:
            return call
        slope = price.slope * count
        finish, sequence, request = head
        if request.finish_beat != finish or request.sequence != sequence:
            finish = rows.next_due()
        steps = finish - beat
        if steps > 1:
            if leaving and queued:
                steps = 1
            elif context + count * (steps - 1) > price.limit:
                steps = (price.limit - context) // count + 1
            moment = stop
            if arrival < stop and ((not queued and len(running) < seats) or engine.scheduler.could_admit()):
                moment = arrival
            if moment < FAR:  # the second call is at the end of the step in flight, the third one step later
                distance, inner = moment - end, steps - 2
                if distance <= 0:
                    steps = 1
                elif inner * device + slope * (inner * (inner - 1) >> 1) >= distance:
                    steps = 1 + steps_until(device, slope, distance, inner)
        # -- their pages
        first = beat % page
        if steps < page:
            pages = sum(phases[first : first + steps])
        else:
            pages = steps // page * count + sum(phases[first : first + steps % page])
        if pages > pool.free:
            return call
        if leaving and steps > 1:  # they free theirs one call into the stretch: the order of the queue depends on it
            pool.take(phases[first])
            engine.free_leaving()
            pages -= phases[first]
        pool.take(pages)
        # -- their times
        triangle = steps * (steps - 1) >> 1
        price.steps += steps
        price.contexts += steps * context + count * triangle
        start = end if end > call else call
        late = rows.catch_up(journal, start + device) if paused else 0
        rows.beat = beat + steps
        if steps == 1:
            pipeline.host_free = call + host
            pipeline.end_before = call = end
            rows.end_before = rows.end
            pipeline.end = rows.end = end + device
        else:
            last = device + slope * (steps - 1)
            end += steps * device + slope * triangle
            pipeline.end = rows.end = end
            pipeline.end_before = rows.end_before = call = end - last
            pipeline.host_free = call - last + slope + host
        # -- the journal's row, as ``Journal.stretch`` writes it
        if not price.bound_low <= context <= price.bound_high:
            price.find_bound(context)
        code = bounds.get(price.bounded)
        if code is None:
            code = journal.code(price.bounded)
        free = pool.free
        journal.packed += PACK_STRETCH(
            replica,
            engine.step,
            steps,
            start >> SUBTICK_BITS,
            device,
            slope,
            count,
            0,
            context,
            len(running),
            queued,
            free,
            free - pool.blank,
            code,
            late,
        )
        engine.step += steps
        engine.scheduled_tokens += steps * count
