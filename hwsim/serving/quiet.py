"""What is certain of an engine's near future: when its load can change, if nothing more is brought to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.serving.cruise import find_piece
from hwsim.serving.pipeline import FAR, least_steps

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
    count, due, beat = rows.count, rows.due, rows.beat
    busy = engine.partials or engine.inbox or engine.admission.waiting or engine.mail or engine.ready
    if busy or not (engine.plain and count) or due[0][0] <= beat:
        call = engine.boundary()
        return FAR if call is None else call
    finish, _, request = due[0]
    if request.finish_beat != finish:
        rows.next_due()
        finish, _, request = due[0]
    steps = finish - beat
    context = rows.offsets + count * (beat + 1)
    piece = engine.pieces.get(count)
    if piece is None or not piece[0] <= context <= piece[1]:
        piece = engine.pieces[count] = find_piece(engine, count, context)
    _, _, most, base, slope, growth, _, _, _ = piece
    before = 1
    if request.ends_by_eos or (count > 1 and (due[1][0] == finish or (count > 2 and due[2][0] == finish))):
        steps -= 1  # it ends a step before its last row, or one that leaves with it may: known from the call on
        before = 0
    if context + count * (steps - 1) > most:
        steps = (most - context) // count + 1
    free = engine.pool.free
    if count * (steps // rows.page + 1) > free and steps > 1 and rows.pages(steps) > free:
        call = engine.boundary()
        return FAR if call is None else call
    return pipeline.end + steps * (base + slope * context) + growth * (steps * (steps - 1) >> 1) - before


def call_after(engine: Engine, time: int) -> int | None:
    """The first call not before ``time`` of an engine that has nothing to do but its rows; None where only going tells.

    Asked just before a request is submitted at ``time``: the call that will see it.
    """
    rows, pipeline = engine.rows, engine.pipeline
    count, beat = rows.count, rows.beat
    if not (engine.plain and count) or engine.partials or engine.admission.waiting or engine.mail or engine.ready:
        return None
    call, end = pipeline.next_call(), pipeline.end
    if engine.stalled_until > pipeline.end_before or engine.held is not None:
        return None
    if call >= time:
        return call
    context = rows.offsets + count * (beat + 1)
    piece = engine.pieces.get(count)
    if piece is None or not piece[0] <= context <= piece[1]:
        return None
    _, _, most, base, slope, growth, host, _, _ = piece
    duration, distance = base + slope * context, time - end
    if call + host > end or host > duration or rows.due[0][0] <= beat:
        return None
    if distance <= 0:
        return end
    steps = least_steps(duration, growth, distance)
    if beat + steps >= rows.due[0][0] or context + count * steps > most:
        return None
    return end + steps * duration + growth * (steps * (steps - 1) >> 1)
