"""Stretches: decode steps of one batch summed in closed form up to the first moment that can change the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICKS_PER_SECOND, StepPrice, StepShape
from hwsim.serving.pipeline import FAR, steps_until

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

SERIAL, DEVICE, HOST, SINGLE = range(4)  # which closed form holds: one step in flight, or what binds when two are
Plan = tuple[int, int, int, int, int, int, StepPrice]  # regime, steps, host, device, slope, context, price


def take_stretch(engine: Engine, call: int, limit: int) -> None:
    """Execute decode steps from ``call`` on, as many as ``plan`` and the free pages allow, in one go."""
    regime, steps, host, device, slope, context, price = plan(engine, call, limit)
    rows, pool, pipeline = engine.rows, engine.pool, engine.pipeline
    pages = rows.pages(steps)
    if pages > pool.free:
        steps, pages = _until_full(engine, steps)
        if not steps:
            engine.scheduler.decide(call)
            return
    if engine.leaving and steps > 1:
        pages -= _free_inside(engine)
    if pages:
        pool.take(pages)
    count = rows.count
    triangle = steps * (steps - 1) >> 1
    price.steps += steps
    price.contexts += steps * context + count * triangle
    windowed = ()
    if rows.windows:
        windowed = rows.windowed()
        for j in range(len(price.windowed)):
            price.windowed[j] += steps * windowed[j] + rows.windows[j].below * triangle
    engine.scheduled_tokens += steps * count
    if engine.knots:
        engine.current = (price, knot_end(context))
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
    late = rows.catch_up(engine.journal, start + first) if rows.late else 0
    engine.journal.stretch(engine, steps, start, first, slope, count, 0, context, price, late, windowed)
    if engine.log is not None:
        engine.log.ran(engine.step, steps, rows, count)
    rows.beat += steps
    rows.end_before = rows.end if steps == 1 else pipeline.end_before
    rows.end = pipeline.end
    engine.step += steps


def _free_inside(engine: Engine) -> int:
    """Requests in flight free their pages one call into a stretch: the order of the queue depends on it."""
    first = engine.rows.pages(1)
    engine.pool.take(first)
    free = engine.pool.free
    engine.free_leaving()
    if engine.log is not None:
        engine.log.freed[engine.step + 1] = engine.pool.free - free
    return first


def plan(engine: Engine, call: int, limit: int) -> Plan:
    """The longest stretch from ``call`` on, pages aside: every other moment that can change the schedule."""
    rows, pipeline = engine.rows, engine.pipeline
    count = rows.count
    context = rows.offsets + count * (rows.beat + 1)
    windowed = rows.windowed() if rows.windows else ()
    price = engine.prices.get(count)
    if price is None or not price.low <= context <= price.limit:
        price = engine.prices[count] = engine.price(StepShape(count, (), count), context, windowed)
    device, slope, host = price.base + price.slope * context, price.slope * count, price.host
    if windowed:
        for each, window, seen in zip(price.window_slopes, rows.windows, windowed, strict=False):
            device += each * seen
            slope += each * window.below
    if pipeline.depth == 1:
        regime = SERIAL
    elif call + host <= pipeline.end and host <= device:
        regime = DEVICE
    elif call + host >= pipeline.end and host >= device:
        regime = HOST
    else:
        regime = SINGLE
    steps = rows.next_due() - rows.beat
    if engine.single_step or regime == SINGLE or (engine.leaving and (engine.admission.waiting or engine.ready)):
        return regime, 1, host, device, slope, context, price
    if context + count * (steps - 1) > price.limit:
        steps = (price.limit - context) // count + 1
    if engine.admission.waiting:
        steps = min(steps, engine.scheduler.next_look())
    if windowed:
        for window in rows.windows:
            crossing = window.next_crossing()
            if crossing is not None and crossing - rows.beat < steps:
                steps = crossing - rows.beat
    if engine.knots and steps > 1:
        steps = min(steps, (knot_end(context) - context) // count + 1)
    if regime == HOST:
        if call + device - max(pipeline.end, call) != slope:
            steps = 1  # outputs come host + slope apart only from the second step on
        elif slope:
            steps = min(steps, (host - device) // slope + 1)
    if steps == 1:
        return regime, 1, host, device, slope, context, price
    moment, inbox = limit, engine.inbox
    if inbox and inbox[0].arrival_alone < moment and engine.scheduler.could_admit():
        moment = inbox[0].arrival_alone
    if engine.mail and engine.mail[0][0] < moment:
        moment = engine.mail[0][0]
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


def _until_full(engine: Engine, most: int) -> tuple[int, int]:
    """The longest stretch whose pages are there (bisection: pages grow with steps)."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) >> 1
        if engine.rows.pages(middle) <= engine.pool.free:
            low = middle
        else:
            high = middle
    return low, engine.rows.pages(low)


def boundary(engine: Engine) -> int | None:
    """Alone time of the next call that can decide anything new, as far as is known now (None: nothing to do)."""
    call = engine.next_call()
    rows, pipeline = engine.rows, engine.pipeline
    if call is None or not rows.count or engine.partials or engine.leaving or engine.scheduler.decides():
        return call
    if rows.next_due() == rows.beat:
        return call
    inbox, mail = engine.inbox, engine.mail
    if (inbox and inbox[0].arrival_alone <= call) or (mail and mail[0][0] <= call):
        return call  # it sees something new
    regime, steps, host, device, slope, context, price = plan(engine, call, FAR)
    if engine.knots and engine.current != (price, knot_end(context)):
        return call  # what it asks of shared capacities changes there
    if rows.pages(steps) > engine.pool.free:
        steps, _ = _until_full(engine, steps)
    if regime == SERIAL:
        return call + steps * (host + device) + slope * (steps * (steps - 1) >> 1)
    if regime == DEVICE and steps > 1:
        return pipeline.end + (steps - 1) * device + slope * ((steps - 1) * (steps - 2) >> 1)
    if regime == HOST:
        return call + steps * host
    return call if not steps else max(pipeline.end, call + host)


def demands(engine: Engine) -> dict[str, float]:
    """What the decode rows ask of each capacity, in units per second of alone time ({} for an idle engine).

    The rates are those at the knot of the summed context (knots 5 % apart), so they are constant over stretches
    and the same whether steps are taken one by one or many at once.
    """
    if engine.current is None:
        return {}
    price, context = engine.current
    rows = engine.rows  # under windows: as if all contexts were equal
    windowed = tuple([min(context, window.window * rows.count) for window in rows.windows])
    device, host = price.device(context, windowed), price.host
    duration = device + host if engine.pipeline.depth == 1 else max(device, host)
    seconds = duration / SUBTICKS_PER_SECOND
    return {
        d.capacity: (d.base + d.slope * context + sum(s * w for s, w in zip(d.window_slopes, windowed, strict=False)))
        / seconds
        for d in price.demands
    }


def knot_end(context: int) -> int:
    """The last context of the piece that holds ``context``: pieces end at knots that are 5 % apart (at least 1)."""
    knot = 1
    while knot < context:
        knot = max(knot + 1, knot * 21 // 20)
    return knot
