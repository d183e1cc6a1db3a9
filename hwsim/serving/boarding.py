"""The common step with prompts in one go: arrivals whose whole prompts fit join the decode rows at once."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING

from hwsim.cost.price import StepShape

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


def board(engine: Engine, call: int) -> bool:
    """Compute the prompts of all who have arrived by ``call`` in one step; False, with nothing changed, if any cannot.

    It is queueing, admission and ``Engine.run`` for their most frequent case under a scheduler that says so
    (``lets_in_whole``): nobody waits or is half computed, nothing of the prompts is cached or comes from elsewhere,
    and budget, places and pages suffice for all of them.
    """
    rows, pool, pipeline = engine.rows, engine.pool, engine.pipeline
    count, beat, size = rows.count, rows.beat, pool.block_size
    need = rows.phases[beat % size] if count else 0
    spans, pages = _fitting(engine, call, need)
    if not spans:
        return False
    pool.take(need + pages)
    context = rows.offsets + count * (beat + 1)
    price = engine.pricer.price(StepShape(count, tuple(spans), count + len(spans)), context)
    price.steps += 1
    price.contexts += context
    start = pipeline.end if pipeline.end > call else call
    end = pipeline.step(call, price.host, price.base + price.slope * context)
    if count:
        beat += 1
        rows.beat = beat
        rows.end_before = rows.end
    rows.end = end
    inbox, running, due, phases = engine.inbox, engine.running, rows.due, rows.phases
    prefill, sequence = 0, engine.sequence
    brief = not count and not engine.leaving and _brief(engine, len(spans))
    for _ in spans:
        request = inbox.popleft()
        running[request] = None
        tokens = request.computed = request.known
        request.pages = -(-tokens // size)
        request.cached_tokens = 0
        request.status = "running"
        request.scheduled = call
        request.first_token = request.last_token = end
        request.emitted = 1
        request.rows = rows
        sequence += 1
        request.sequence = sequence
        prefill += tokens
        if brief:
            engine.leaving.append(request)
            engine.announce(request, end)
            continue
        request.join_beat = beat
        request.offset = offset = tokens - beat
        request.finish_beat = finish = beat + request.output_tokens - 1 + request.ends_by_eos
        phases[-offset % size] += 1
        heappush(due, (finish, sequence, request))
    engine.sequence = sequence
    if brief:
        engine.leaving_since = engine.calls
    else:
        rows.offsets += prefill - beat * len(spans)
        rows.count += len(spans)
    engine.admission.blocked = False
    engine.journal.stretch(engine, 1, start, end - start, 0, count, prefill, context, price)
    engine.scheduled_tokens += count + prefill
    engine.step += 1
    return True


def _brief(engine: Engine, count: int) -> bool:
    """True if the first ``count`` arrivals end with this step: they need not become decode rows of no steps."""
    for request in engine.inbox:
        if request.output_tokens > 1 or request.ends_by_eos:
            return False
        count -= 1
        if not count:
            break
    return True


def _fitting(engine: Engine, call: int, need: int) -> tuple[list[tuple[int, int]], int]:
    """The chunks of all who have arrived and the pages they take, or none at all; ``need`` is what the rows take."""
    admission, pool, rows = engine.admission, engine.pool, engine.rows
    spans: list[tuple[int, int]] = []
    if engine.partials or admission.waiting or rows.late or engine.remote.connector is not None:
        return spans, 0
    kept = admission.watermark
    budget, free = engine.scheduler.budget - rows.count, pool.free - need
    if engine.running:
        free -= kept
    places, size, caching = engine.config.max_num_seqs - len(engine.running), pool.block_size, pool.caching
    taken = 0
    for request in engine.inbox:
        if request.arrival_alone > call:
            break
        tokens = request.known
        pages = -(-tokens // size)
        budget -= tokens
        known = request.remote_tokens or (caching and request.prefix_ids is not None) or request.cached_tokens >= 0
        if known or budget < 0 or not places or taken + pages > free:
            return [], 0
        if not taken and not engine.running:
            free -= kept
        taken += pages
        places -= 1
        spans.append((tokens, 0))
    return spans, taken
