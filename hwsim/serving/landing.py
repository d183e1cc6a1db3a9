"""The common step with KV from elsewhere: who has it joins the decode rows, who waits for it takes its pages."""

from __future__ import annotations

from heapq import heappop
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request


def land(engine: Engine, call: int) -> bool | None:
    """Let in whose KV is here by ``call``, and start to load for those who have arrived by then.

    It is ``Remote.open_mail``, ``Admission`` and the scheduler's ``admit`` for their most frequent case: a busy engine
    where nobody waits, KV that came whole (its last token is computed again, in one step with the decode rows) or is
    to come whole, and budget, places and pages for all of them.  True: that step has been run.  None: nobody needs a
    step.  False: the call is out of the ordinary, and nothing has changed.
    """
    found = _ordinary(engine, call)
    if found is None:
        return False
    landed, loads, pages = found
    remote, pool, rows = engine.remote, engine.pool, engine.rows
    size, inbox = pool.block_size, engine.inbox
    chunks: list[tuple[Request, int]] = []
    if landed:
        need = rows.phases[rows.beat % size]
        if need:
            pool.take(need)
        mail = remote.mail
        for _ in landed:
            heappop(mail)
        if len(landed) > 1:
            landed.sort(key=lambda request: request.load_order)
        for request in landed:
            del remote.loading[request]
            request.remote_tokens = 0
            known = request.computed
            if request.prefix_ids is not None:
                pool.register(request, known)
            engine.admit(request, known - 1, call)
            chunks.append((request, 1))
    if loads:
        pool.take(pages)
        for _ in range(loads):
            request = inbox.popleft()
            request.pages = -(-request.known // size)
            remote.load(request, 0, request.known, call)
    engine.admission.blocked = False
    if not landed:
        return None
    engine.run(call, rows.count, rows.offsets + rows.count * (rows.beat + 1), chunks)
    return True


def _ordinary(engine: Engine, call: int) -> tuple[list[Request], int, int] | None:
    """Whose KV is here, how many start to load and their pages; None if anything is out of the ordinary."""
    admission, pool, rows, remote = engine.admission, engine.pool, engine.rows, engine.remote
    if admission.waiting or rows.late or remote.connector is not None:
        return None
    size = pool.block_size
    landed: list[Request] = []
    for alone, _, released, request in engine.mail:
        if alone <= call:
            if released or request.prefilled or request.computed < request.known:
                return None
            landed.append(request)
    places = engine.config.max_num_seqs - len(engine.running) - len(landed)
    budget = engine.scheduler.budget - rows.count - len(landed)
    free = pool.free - rows.phases[rows.beat % size] - admission.watermark
    if places < 0 or budget < 0 or free < 0:
        return None
    loads = pages = 0
    for request in engine.inbox:
        if request.arrival_alone > call:
            break
        if request.remote_tokens < request.known or (pool.caching and request.prefix_ids is not None):
            return None
        pages += -(-request.known // size)
        loads += 1
    if loads and (places < 1 or budget < 1 or pages > free or (engine.listened and engine.waits)):
        return None  # whoever starts to load takes no place, but none could be taken
    return landed, loads, pages
