"""An engine that fails and starts again: what it held is lost, and its requests are there to be sent elsewhere."""

from __future__ import annotations

from hwsim.cost.scaled import Scaled
from hwsim.serving.admission import Admission
from hwsim.serving.ending import end_rows
from hwsim.serving.engine import Engine
from hwsim.serving.request import Request
from hwsim.serving.scheduler import scheduler


def salvage(engine: Engine) -> list[Request]:
    """Empty an engine that fails now, and return its unfinished requests in the order in which they would run.

    A request keeps the tokens that were delivered: whoever serves it next computes its prompt and those tokens again,
    as after a pre-emption, and goes on from there.  The engine has executed every call before the failure.
    Simplification: the steps in flight still deliver, so a failure takes effect at the end of a step.
    """
    for rows in engine.groups():
        engine.rows = rows
        if rows.due and rows.due[0][0] <= rows.beat:
            end_rows(engine)  # they have had their last step
    waiting, preempted = engine.admission.waiting, engine.preemptions
    queued = [*[waiting.take() for _ in range(len(waiting))], *engine.inbox]
    queued += engine.remote.abandon()
    queued.sort(key=lambda request: (request.arrival, request.index))
    moved: list[Request] = []
    for request in list(engine.running):
        engine.preempt(request)
        request.preemptions -= 1  # it is moved, not pre-empted
        moved += [waiting.take() for _ in range(len(waiting))]  # none if its last token was in flight
    engine.preemptions = preempted
    moved += queued
    restart(engine)
    for request in moved:
        _forget(request)
    return moved


def restart(engine: Engine) -> None:
    """The engine is as new: no request, no cached prefix; its counters go on."""
    engine.pool = engine.pool.fresh()
    engine.inbox.clear()
    engine.leaving.clear()
    engine.partials.clear()
    engine.clear_rows()
    engine.admission = Admission(engine)
    engine.scheduler = scheduler(engine)
    engine.stalled_until = -1
    engine.held = None


def _forget(request: Request) -> None:
    """No engine holds anything of ``request``."""
    request.status = "waiting"
    request.pages = request.registered = 0
    request.holds = None
    request.private = None
    request.rows = None
    request.join_beat = -1
    request.computed = 0
    request.remote_tokens = request.load_tokens = 0
    request.prefilled = False


def withdraw(engine: Engine, request: Request, alone: int) -> None:
    """Take out a request that waits for KV (in the queue, or with pages for it): none is going to come."""
    remote, queue = engine.remote, engine.admission
    if request in engine.inbox:
        engine.inbox.remove(request)
    elif request in remote.loading:
        del remote.loading[request]
        engine.pool.release(request, 0)
    else:
        queue.remove(request)
    queue.blocked = False
    engine.stalled_until = min(engine.stalled_until, alone)
    _forget(request)


def slow(engine: Engine, factor: float) -> Scaled:
    """Calls that the engine has not made yet cost ``factor`` times as much; returns the prices that it goes on with."""
    engine.pricer = found = Scaled(engine.pricer, factor)
    engine.forget_prices()
    return found


def restore(engine: Engine) -> None:
    """The engine is as fast as it was."""
    assert isinstance(engine.pricer, Scaled)
    engine.pricer = engine.pricer.inner
    engine.forget_prices()
