"""What an engine writes down: one row per stretch, one per request, single gaps, and on demand every schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwsim.cost.price import SUBTICK_BITS, StepPrice

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request

_FLUSH = 4096


class Journal:
    """Columnar record of a run: rows are buffered as tuples and packed 4096 at a time, so a row costs one append.

    ``stretches``: replica, first step, steps, start (ps), first duration and slope (subticks), decode rows, prefill
    tokens, context, running, waiting, free pages, cached pages, bound (code).  ``requests`` keeps the finished ones.
    """

    STRETCH = (
        ("replica", np.int32),
        ("first_step", np.int64),
        ("steps", np.int32),
        ("start", np.int64),
        ("first_duration", np.int64),
        ("slope", np.int64),
        ("decode_rows", np.int32),
        ("prefill_tokens", np.int32),
        ("context", np.int64),
        ("running", np.int32),
        ("waiting", np.int32),
        ("free_pages", np.int32),
        ("cached_pages", np.int32),
        ("bound", np.int16),
    )
    REQUEST = (
        ("index", np.int64),
        ("replica", np.int32),
        ("arrival", np.int64),
        ("scheduled", np.int64),
        ("first_token", np.int64),
        ("finish", np.int64),
        ("input_tokens", np.int32),
        ("output_tokens", np.int32),
        ("cached_tokens", np.int32),
        ("preemptions", np.int32),
    )

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self.stretches = 0
        self.steps = 0
        self.completed = 0
        self.bounds: dict[str, int] = {}
        self.gaps: list[int] = []
        self.others: list[tuple[Request, int]] = []  # rejected requests with their replica
        self.names: dict[int, str] = {}
        self.peak_pages = 0
        self.peak_start = 0
        self.peak_cached = 0
        self._rows: list[tuple] = []
        self._packed: list[dict[str, np.ndarray]] = []
        self._done: list[tuple] = []
        self._done_packed: list[dict[str, np.ndarray]] = []

    def stretch(
        self,
        engine: Engine,
        steps: int,
        start: int,
        first: int,
        slope: int,
        decodes: int,
        prefill: int,
        context: int,
        price: StepPrice,
    ) -> None:
        """A stretch of ``steps`` steps with one batch; its first interval starts at ``start`` and lasts ``first``."""
        pool = engine.pool
        held = pool.usable - pool.free
        if held > self.peak_pages:
            self.peak_pages = held
            self.peak_start = start
            self.peak_cached = pool.free - pool.blank
        self.stretches += 1
        self.steps += steps
        if not self.keep:
            return
        bound = price.bound(context)
        code = self.bounds.get(bound)
        if code is None:
            code = self.bounds[bound] = len(self.bounds)
        rows = self._rows
        rows.append(
            (
                engine.replica,
                engine.step,
                steps,
                start >> SUBTICK_BITS,
                first,
                slope,
                decodes,
                prefill,
                context,
                len(engine.running),
                len(engine.admission.waiting),
                pool.free,
                pool.free - pool.blank,
                code,
            )
        )
        if len(rows) >= _FLUSH:
            self._packed.append(_pack(rows, self.STRETCH))
            rows.clear()

    def finished(self, replica: int, request: Request) -> None:
        """A request's last token has a time."""
        self.completed += 1
        if request.request_id is not None:
            self.names[request.index] = request.request_id
        done = self._done
        assert request.scheduled is not None and request.first_token is not None and request.finish is not None
        done.append(
            (
                request.index,
                replica,
                request.arrival,
                request.scheduled >> SUBTICK_BITS,
                request.first_token >> SUBTICK_BITS,
                request.finish >> SUBTICK_BITS,
                request.prompt_tokens,
                request.output_tokens,
                request.cached_tokens,
                request.preemptions,
            )
        )
        if len(done) >= _FLUSH:
            self._done_packed.append(_pack(done, self.REQUEST))
            done.clear()

    def rejected(self, replica: int, request: Request) -> None:
        """A request that is not served, with its reason."""
        self.others.append((request, replica))

    def gap(self, subticks: int) -> None:
        """An inter-token gap that no stretch tells: the pause of a pre-empted request."""
        self.gaps.append(subticks)

    def stretch_table(self) -> dict[str, np.ndarray]:
        """All stretches as columns, in the order of execution."""
        return _join([*self._packed, _pack(self._rows, self.STRETCH)], self.STRETCH)

    def request_table(self) -> dict[str, np.ndarray]:
        """All finished requests as columns, in the order they finished."""
        return _join([*self._done_packed, _pack(self._done, self.REQUEST)], self.REQUEST)


def _pack(rows: list[tuple], columns: tuple) -> dict[str, np.ndarray]:
    if not rows:
        return {name: np.empty(0, dtype) for name, dtype in columns}
    table = np.array(rows, dtype=np.int64)
    return {name: table[:, i].astype(dtype) for i, (name, dtype) in enumerate(columns)}


def _join(parts: list[dict[str, np.ndarray]], columns: tuple) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name, _ in columns}
