"""What is certain of an engine's near future: when its load can change, if nothing more is brought to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.price import StepShape
from hwsim.serving.pipeline import FAR
from hwsim.serving.stretch import boundary

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


def quiet_until(engine: Engine) -> int:
    """The last moment (alone time) at which no answer is there yet, unless a request is submitted (FAR: none comes).

    Where only decode rows are in the engine this is the tick before the next output of the first row to end, and
    otherwise the next call that can decide anything.  It is later than ``boundary`` and cheaper, for those whom
    answers alone interest.  Never too late: rows end in lockstep, and what shortens the view (the end of a piece of
    the price, pages that run out) ends it.
    """
    rows, pipeline = engine.rows, engine.pipeline
    count, due = rows.count, rows.due
    busy = engine.partials or engine.inbox or engine.admission.waiting or engine.mail or engine.ready
    if not (engine.plain and count) or busy or rows.next_due() == rows.beat:
        call = boundary(engine)
        return FAR if call is None else call
    finish, _, request = due[0]
    steps = finish - rows.beat
    context = rows.offsets + count * (rows.beat + 1)
    price = engine.prices.get(count)
    if price is None or not price.low <= context <= price.limit:
        price = engine.prices[count] = engine.pricer.price(StepShape(count, (), count), context)
    before = 1
    if request.ends_by_eos or (count > 1 and (due[1][0] == finish or (count > 2 and due[2][0] == finish))):
        steps -= 1  # it ends a step before its last row, or one that leaves with it may: known from the call on
        before = 0
    if context + count * (steps - 1) > price.limit:
        steps = (price.limit - context) // count + 1
    if steps > 1 and rows.pages(steps) > engine.pool.free:
        call = boundary(engine)
        return FAR if call is None else call
    device = price.base + price.slope * context
    return pipeline.end + steps * device + price.slope * count * (steps * (steps - 1) >> 1) - before
