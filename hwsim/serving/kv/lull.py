"""How long an engine with KV tiers may be left alone: until its next answer, if it gives up no chunk before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.price import StepShape
from hwsim.serving.kv.watched_pool import WatchedPool

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


def lull(engine: Engine) -> int | None:
    """The alone time of the next answer, where only decode rows run and take pages that nobody could ask for.

    None where that is not certain, or not simple: then every moment that can decide anything counts.
    """
    rows, pipeline = engine.rows, engine.pipeline
    count, due = rows.count, rows.due
    busy = engine.partials or engine.inbox or engine.admission.waiting or engine.mail or engine.ready
    if not (engine.plain and count) or busy:
        return None
    finish, sequence, request = due[0]
    steps = finish - rows.beat
    if steps <= 0 or request.finish_beat != finish or request.sequence != sequence or request.ends_by_eos:
        return None
    if count > 1 and (due[1][0] == finish or (count > 2 and due[2][0] == finish)):
        return None  # one that ends by a stop token may leave with it: known a step earlier
    context = rows.offsets + count * (rows.beat + 1)
    price = engine.prices.get(count)
    if price is None or not price.low <= context <= price.limit:
        price = engine.prices[count] = engine.pricer.price(StepShape(count, (), count), context)
    device, end = price.base + price.slope * context, pipeline.end
    if price.host > device or pipeline.next_call() + price.host > end or context + count * (steps - 1) > price.limit:
        return None
    pool = engine.pool
    assert isinstance(pool, WatchedPool)
    if not pool.spares(rows.pages(steps + 1)):
        return None
    return end + steps * device + price.slope * count * (steps * (steps - 1) >> 1)
