"""Static batching: as many requests as the pattern takes start together, padded to the longest; then the next ones.

The offline systems that run models larger than their memory work so.  A batch prefills in one pass; each decode pass
computes a token of every row until the longest answer is complete.  Prices come from the same contract as an engine's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.cost.price import SUBTICKS_PER_SECOND, Pricer, StepPrice, StepShape
from hwsim.serving.request import Request


@dataclass
class Stretch:
    """Equal passes of one batch: ``first`` subticks for the first one, ``slope`` more for each after it."""

    step: int
    count: int
    start: int
    first: int
    slope: int
    rows: int
    prefill: int
    context: int
    waiting: int
    bound: str


@dataclass
class StaticBatches:
    """Runs requests in order of arrival, ``rows`` at a time; times are subticks.

    ``closed`` clients send a request each as soon as they have their answer (None: requests arrive when they arrive).
    """

    pricer: Pricer
    rows: int
    closed: int | None = None
    now: int = 0
    steps: int = 0
    stretches: list[Stretch] = field(default_factory=list)
    done: list[tuple[Request, int, int, int]] = field(default_factory=list)
    prices: list[StepPrice] = field(default_factory=list)

    def run(self, requests: Iterable[Request]) -> None:
        """Serve all of them; a batch is what has arrived when the one before has ended (at least one request)."""
        left = list(requests)
        at = 0
        while at < len(left):
            if self.closed is not None:
                batch = left[at : at + min(self.rows, self.closed)]
                for request in batch:
                    request.arrival = self.now >> 10
            else:
                self.now = max(self.now, left[at].arrival << 10)
                batch = [r for r in left[at : at + self.rows] if r.arrival << 10 <= self.now]
            at += len(batch)
            waiting = sum(request.arrival << 10 <= self.now for request in left[at:]) if self.closed is None else 0
            self._batch(batch, waiting)

    def _batch(self, batch: list[Request], waiting: int) -> None:
        start = self.now
        prompt = max(request.prompt_tokens for request in batch)
        outputs = [max(_output(request), 1) for request in batch]
        shape = StepShape(0, ((prompt, 0),) * len(batch), len(batch))
        self._stretch(self.pricer.price(shape, 0), 1, len(batch), prompt * len(batch), 0, waiting, decode=False)
        first = self.now
        ends = [first] * len(batch)
        token, most = 1, max(outputs)
        decode = StepShape(len(batch), (), len(batch))
        while token < most:
            context = (prompt + token) * len(batch)
            price = self.pricer.price(decode, context)
            # the price holds up to its limit; a row ends where its answer does
            count = min(most - token, max(1, (price.limit - context) // len(batch) + 1))
            begun, duration, slope = self.now, price.device(context), price.slope * len(batch)
            self._stretch(price, count, len(batch), 0, context, waiting, decode=True)
            for row, output in enumerate(outputs):
                taken = min(output - token, count)
                if taken > 0:
                    ends[row] = begun + taken * duration + slope * (taken * (taken - 1) // 2)
            token += count
        for request, end in zip(batch, ends, strict=True):
            self.done.append((request, start, first, end))

    def _stretch(
        self, price: StepPrice, count: int, rows: int, prefill: int, context: int, waiting: int, *, decode: bool
    ) -> None:
        first, slope = price.device(context), price.slope * rows if decode else 0
        self.stretches.append(
            Stretch(
                self.steps,
                count,
                self.now,
                first,
                slope,
                rows if decode else 0,
                prefill,
                context,
                waiting,
                price.bound(context),
            )
        )
        self.steps += count
        self.now += count * first + slope * (count * (count - 1) // 2)
        if not price.steps:
            self.prices.append(price)
        price.steps += count
        price.contexts += count * context + rows * (count * (count - 1) // 2) if decode else 0

    # -- what it leaves ------------------------------------------------------------------------------------------

    def request_table(self) -> dict[str, Any]:
        """One row per request, in order of arrival; the columns of every serving run."""
        rows = sorted(self.done, key=lambda row: row[0].index)
        count = len(rows)

        def seconds(values: list[int]) -> np.ndarray:
            return np.array([value >> 10 for value in values], dtype=np.int64) / 1e12

        return {
            "request_id": [request.request_id or str(request.index) for request, *_ in rows],
            "replica": np.zeros(count, dtype=np.int64),
            "arrival_s": np.array([request.arrival for request, *_ in rows], dtype=np.int64) / 1e12,
            "scheduled_s": seconds([start for _, start, _, _ in rows]),
            "first_token_s": seconds([first for _, _, first, _ in rows]),
            "finish_s": seconds([end for *_, end in rows]),
            "input_tokens": np.array([request.prompt_tokens for request, *_ in rows], dtype=np.int64),
            "output_tokens": np.array([max(_output(request), 1) for request, *_ in rows], dtype=np.int64),
            "cached_tokens": np.zeros(count, dtype=np.int64),
            "preemptions": np.zeros(count, dtype=np.int64),
            "status": ["completed"] * count,
            "reason": [""] * count,
        }

    def step_table(self) -> dict[str, Any]:
        """One row per stretch; the columns of every serving run."""

        def whole(name: str) -> np.ndarray:
            return np.array([getattr(stretch, name) for stretch in self.stretches], dtype=np.int64)

        starts = np.array([stretch.start >> 10 for stretch in self.stretches], dtype=np.int64)
        return {
            "replica": np.zeros(len(starts), dtype=np.int64),
            "first_step": whole("step"),
            "steps": whole("count"),
            "start": starts / 1e12,
            "start_ticks": starts,
            "first_duration": whole("first") / SUBTICKS_PER_SECOND,
            "slope": whole("slope") / SUBTICKS_PER_SECOND,
            "decode_rows": whole("rows"),
            "prefill_tokens": whole("prefill"),
            "context": whole("context"),
            "running": whole("rows"),
            "waiting": whole("waiting"),
            "free_pages": np.zeros(len(starts), dtype=np.int64),
            "cached_pages": np.zeros(len(starts), dtype=np.int64),
            "bound": [stretch.bound for stretch in self.stretches],
        }


def _output(request: Request) -> int:
    """Tokens that a request makes."""
    return min(request.output_tokens, request.max_tokens)
