"""What work would take on a replica, from the prices that its engine runs at: the view of SLO-aware policies."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
from hwsim.serving.engine import Engine
from hwsim.serving.routing import Loads

WINDOW = SUBTICKS_PER_SECOND
GRAIN = 16  # chunks are asked for in sixteenths of the token budget, rows in steps of 8, so that prices are found again


class EngineOutlook:
    """Seconds of prefill and decode on each engine, at the present batch there.

    Simplification: prompts are computed in chunks of the whole token budget, each as if it began its prompt, beside
    the rows that decode now; what the prefix cache may hold is not taken off.  How much prompts slow decoding down is
    taken from the last second or two: the pace at which rows got tokens, between a pure step and one full of prompt.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines
        self.marks = [((0, 0), (0, 0))] * len(engines)  # (beat, end of its step) of one and of two windows ago

    def prefill(self, replica: int, tokens: int, loads: Loads) -> float:
        """Until ``tokens`` prompt tokens are computed."""
        config = self.engines[replica].config
        rows = min(-(-loads.rows[replica] // 8) * 8, config.max_num_seqs)
        budget = max(config.max_num_batched_tokens - rows, 1)
        whole, rest = divmod(tokens, budget)
        found = whole * self._step(replica, rows, budget, loads) if whole else 0.0
        if rest:
            grain = max(budget // GRAIN, 1)
            found += self._step(replica, rows, min(-(-rest // grain) * grain, budget), loads)
        return found

    def decode(self, replica: int, loads: Loads, more: int = 1) -> float:
        """The time of a token with ``more`` rows than there are, each with the mean context of those there."""
        config = self.engines[replica].config
        rows = max(min(loads.rows[replica] + more, config.max_num_seqs), 1)
        pure = self._step(replica, rows, 0, loads)
        pace = self._pace(replica)
        if pace <= pure:
            return pure
        return min(pace, self._step(replica, rows, max(config.max_num_batched_tokens - rows, 1), loads))

    def _pace(self, replica: int) -> float:
        """Seconds per decode step over the last window or two, pauses included."""
        rows = self.engines[replica].rows
        older, newer = self.marks[replica]
        if rows.end - newer[1] >= WINDOW:
            older, newer = self.marks[replica] = newer, (rows.beat, rows.end)
        beats = rows.beat - older[0]
        return (rows.end - older[1]) / SUBTICKS_PER_SECOND / beats if beats else 0.0

    def _step(self, replica: int, rows: int, chunk: int, loads: Loads) -> float:
        engine = self.engines[replica]
        there = loads.rows[replica]
        context = round(loads.contexts[replica] * rows / there) if there else rows
        windowed = tuple([min(context, window * rows) for window in engine.windows])
        shape = StepShape(rows, ((chunk, 0),) if chunk else (), rows + bool(chunk))
        price = engine.price(shape, context, windowed)
        device = price.device(context, windowed)
        time = device + price.host if engine.pipeline.depth == 1 else max(device, price.host)
        return time / SUBTICKS_PER_SECOND
