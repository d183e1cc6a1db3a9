"""One step of a batch: its price, its times, and the prompts that it completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.price import StepPrice, StepShape
from hwsim.serving.stretch import knot_end

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request


def price(engine: Engine, shape: StepShape, context: int, windowed: tuple[int, ...]) -> StepPrice:
    """What a step costs; a model with sliding windows is asked with the sums of contexts under them, too."""
    if engine.windows:
        return engine.pricer.price(shape, context, windowed)
    return engine.pricer.price(shape, context)


def take_step(
    engine: Engine,
    call: int,
    decodes: int,
    context: int,
    chunks: list[tuple[Request, int]],
    windowed: tuple[int, ...] | None = None,
) -> None:
    """One step: ``decodes`` rows that attend to ``context`` tokens, and prompt chunks.

    ``windowed`` are the sums under sliding windows where not all rows, nor none, are in the step.
    """
    rows, pipeline = engine.rows, engine.pipeline
    prefill = 0
    spans: list[tuple[int, int]] = []
    done: list[Request] = []
    for request, tokens in chunks:
        prefill += tokens
        spans.append((tokens, request.computed - tokens))
        if request.computed == request.known:
            done.append(request)
    if windowed is None:
        windowed = ()
        if engine.windows:
            windowed = rows.windowed() if decodes else (0,) * len(engine.windows)
    price = engine.price(StepShape(decodes, tuple(spans), decodes + len(done)), context, windowed)
    device = price.base + price.slope * context
    price.steps += 1
    price.contexts += context
    if windowed:
        device = price.device(context, windowed)
        for j in range(len(price.windowed)):
            price.windowed[j] += windowed[j]
    if engine.knots:
        engine.current = (price, knot_end(context))
    start = pipeline.end if pipeline.end > call else call
    end = pipeline.step(call, price.host, device)
    engine.scheduled_tokens += decodes + prefill
    late = 0
    if decodes:
        if rows.late:
            late = rows.catch_up(engine.journal, end)
    elif rows.count and not rows.late:
        rows.late.append([rows.end, rows.count])
    engine.journal.stretch(engine, 1, start, end - start, 0, decodes, prefill, context, price, late, windowed)
    if engine.log is not None:
        engine.log.ran(engine.step, 1, rows, decodes)
        for request, tokens in chunks:
            engine.log.computed(request, engine.step, tokens)
    engine.step += 1
    if decodes:
        rows.beat += 1
        rows.end_before, rows.end = rows.end, end
    if done:
        _join(engine, done, end)
        if engine.partials:
            engine.partials = [r for r in engine.partials if r.computed < r.known]


def _join(engine: Engine, done: list[Request], end: int) -> None:
    """Prompts that this step completed give a token at its end and are decode rows from the next beat on."""
    rows = engine.rows
    if rows.late:
        rows.late.append([end, len(done)])
    elif not rows.count:
        rows.end = end
    for request in done:
        if request.first_token is None:
            request.first_token = end
        else:
            engine.journal.gap(end - request.last_token)
        request.last_token = end
        request.emitted += 1
        steps = request.output_tokens - request.emitted
        if request.ends_by_eos and engine.pipeline.depth > 1:
            steps += 1
        rows.join(request, request.computed, steps)
        if engine.log is not None:
            engine.log.joined(request, rows.beat, rows.number)
