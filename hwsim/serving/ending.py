"""How requests leave an engine: their last token has a time, then their pages are free, or they are refused."""

from __future__ import annotations

from heapq import heappop
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request


def end_rows(engine: Engine) -> None:
    """Rows that have had their last step leave; whose output is known now is freed, in running order."""
    rows, leaving = engine.rows, engine.leaving
    known: list[Request] = []
    due, beat, page, depth, log = rows.due, rows.beat, rows.page, engine.pipeline.depth, engine.log
    if leaving and engine.leaving_since < engine.calls:
        known = leaving[:]
        leaving.clear()
    while due and due[0][0] <= beat:
        finish, sequence, request = heappop(due)
        if request.finish_beat != finish or request.sequence != sequence:
            continue  # it had left before
        beats = beat - request.join_beat
        request.pages = -(-(request.offset + beat) // page)
        if log is not None:
            log.left(request, beat)
        rows.leave(request)
        last = rows.end if beats else request.last_token
        if depth == 1:
            known.append(request)
        elif request.ends_by_eos:
            engine.wasted_rows += 1
            last = rows.end_before if beats > 1 else request.last_token
            known.append(request)
        else:  # scheduled no more, but its pages are free only when the output in flight is known
            leaving.append(request)
            engine.leaving_since = engine.calls
        engine.announce(request, last)
    if len(known) > 1:
        known.sort(key=lambda request: request.sequence)
    for request in known:
        engine.free(request)


def announce(engine: Engine, request: Request, time: int) -> None:
    """The last token of ``request`` is there at ``time``."""
    request.finish = time
    request.status = "completed"
    engine.journal.finished(engine.replica, request)
    if engine.listened:
        engine.notices.append((time, request))


def free(engine: Engine, request: Request) -> None:
    """Take an ended request out and give back its pages, unless somebody still reads them."""
    del engine.running[request]
    if request.keeps_kv:
        engine.remote.keep(request)
    else:
        computed = request.prompt_tokens + request.output_tokens - 1
        if request.answer_ids is not None:
            engine.pool.register_answer(request, computed)
        engine.pool.release(request, computed)
    engine.admission.blocked = False


def free_leaving(engine: Engine) -> None:
    """The outputs in flight are known: their requests give back their pages."""
    leaving = engine.leaving
    for request in leaving:
        engine.free(request)
    leaving.clear()


def reject(engine: Engine, request: Request, time: int | None = None) -> None:
    """A request that is not served ends here, counted with its reason (at ``time``, or when the device is idle)."""
    engine.journal.rejected(engine.replica, request)
    if not engine.listened:
        return
    time = max(engine.pipeline.end, request.arrival_alone) if time is None else time
    notices = engine.notices
    place = len(notices)
    while place and notices[place - 1][0] > time:
        place -= 1
    notices.insert(place, (time, request))
