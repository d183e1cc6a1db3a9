"""Pre-emption by recompute: a running request loses its pages and comes back to the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


def preempt(engine: Engine, request: Request, given: int = 0) -> None:
    """Take everything from ``request`` and put it back into the queue; it will be computed again.

    ``given``: tokens that this very call had already scheduled for it and that it gives back.
    """
    rows, size = request.rows or engine.rows, engine.config.block_size
    del engine.running[request]
    request.preemptions += 1
    engine.preemptions += 1
    engine.admission.blocked = False
    if request in engine.leaving:  # its last token is in flight and will be delivered: it is done
        engine.leaving.remove(request)
        engine.pool.release(request, request.prompt_tokens + request.output_tokens - 1)
        return
    beats = 0
    if request.join_beat < 0:
        hashed = request.computed
        request.was_computed = hashed - given
        if request in engine.partials:
            engine.partials.remove(request)
    else:
        beats = rows.beat - request.join_beat
        computed = request.was_computed = request.offset + rows.beat
        request.emitted += beats
        hashed = computed + given - (engine.pipeline.depth > 1 and beats + given > 0)
        request.pages = -(-(computed + given) // size)
        if beats:
            request.last_token = rows.end
        if rows.late:
            rows.forget(request.last_token)
        if engine.log is not None:
            engine.log.left(request, rows.beat)
        rows.leave(request)
    if engine.scheduler.remembers_preempted:
        engine.pool.release(request, hashed, may_return=True)
    else:
        engine.pool.release(request, 0)
    if request.emitted > request.output_tokens:  # in another pipeline group, that row was under way
        engine.wasted_rows += 1
        request.emitted = request.output_tokens
        if beats > 1:
            request.last_token = rows.end_before
    if request.emitted >= request.output_tokens:
        engine.announce(request, request.last_token)  # likewise: only a wasted row was left
        return
    request.known = request.prompt_tokens + request.emitted
    request.computed = 0
    request.join_beat = -1
    engine.scheduler.requeue(request)
