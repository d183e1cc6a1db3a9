"""What an engine writes down: one row per stretch, one per request, single gaps, and on demand every schedule."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

from hwsim.cost.price import SUBTICK_BITS, StepPrice

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request


class Journal:
    """Record of a run as packed rows of 64-bit integers: a row costs one ``pack`` and a hundred bytes.

    A stretch is a run of steps with one batch: its first interval starts at ``start`` (ps of alone time), lasts
    ``first_duration`` subticks, and each following one is longer by ``slope``.  ``waiting`` and ``running`` are as
    the first call left them, ``free_pages`` as the last did.  ``late_rows`` of the decode rows had been paused before:
    their first gap stands in ``gaps``, not in the stretch.  Requests are written when they finish, with the times at
    which the client has their tokens.
    """

    __slots__ = (
        "_requests",
        "bounds",
        "completed",
        "gaps",
        "names",
        "others",
        "packed",
    )

    STRETCH = (
        "replica",
        "first_step",
        "steps",
        "start",
        "first_duration",
        "slope",
        "decode_rows",
        "prefill_tokens",
        "context",
        "running",
        "waiting",
        "free_pages",
        "cached_pages",
        "bound",
        "late_rows",
    )
    REQUEST = (
        "index",
        "replica",
        "arrival",
        "scheduled",
        "first_token",
        "finish",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "preemptions",
    )

    def __init__(self) -> None:
        self.completed = 0
        self.bounds: dict[str, int] = {}
        self.gaps: list[tuple[int, int]] = []
        self.others: list[tuple[Request, int]] = []  # rejected requests with their replica
        self.names: dict[int, str] = {}
        self.packed = bytearray()
        self._requests = bytearray()

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
        late: int = 0,
        windowed: tuple[int, ...] = (),
    ) -> None:
        """A stretch of ``steps`` steps with one batch; its first interval starts at ``start`` and lasts ``first``."""
        pool = engine.pool
        free = pool.free
        bound = price.bound(context, windowed)
        code = self.bounds.get(bound)
        if code is None:
            code = self.code(bound)
        self.packed += PACK_STRETCH(
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
            free,
            free - pool.blank,
            code,
            late,
        )

    def code(self, bound: str) -> int:
        """The number of a bound, in order of first use."""
        return self.bounds.setdefault(bound, len(self.bounds))

    def finished(self, replica: int, request: Request) -> None:
        """A request's last token has a time."""
        self.completed += 1
        if request.request_id is not None:
            self.names[request.index] = request.request_id
        self._requests += _REQUEST(
            request.index,
            replica,
            request.arrival,
            request.scheduled >> SUBTICK_BITS,  # pyright: ignore[reportOptionalOperand]
            (request.first_token >> SUBTICK_BITS) + request.after,  # pyright: ignore[reportOptionalOperand]
            (request.finish >> SUBTICK_BITS) + request.after,  # pyright: ignore[reportOptionalOperand]
            request.prompt_tokens,
            request.output_tokens,
            request.cached_tokens,
            request.preemptions,
        )

    def rejected(self, replica: int, request: Request) -> None:
        """A request that is not served, with its reason."""
        self.others.append((request, replica))

    def gap(self, subticks: int, count: int = 1) -> None:
        """Inter-token gaps that no stretch tells: the pause of a pre-empted request, of rows that prompts held up."""
        self.gaps.append((subticks, count))

    @property
    def stretches(self) -> int:
        """How many stretches were executed."""
        return len(self.packed) // (8 * len(self.STRETCH))

    def stretch_table(self) -> dict[str, np.ndarray]:
        """All stretches as int64 columns, in the order of execution."""
        return _columns(self.packed, self.STRETCH)

    def request_table(self) -> dict[str, np.ndarray]:
        """All finished requests as int64 columns, in the order they finished."""
        return _columns(self._requests, self.REQUEST)


PACK_STRETCH = Struct(f"<{len(Journal.STRETCH)}q").pack  # packing a row is several times faster than array.extend
_REQUEST = Struct(f"<{len(Journal.REQUEST)}q").pack


def _columns(values: bytearray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    table = np.frombuffer(bytes(values), dtype="<i8").reshape(-1, len(names))
    return {name: table[:, i].astype(np.int64) for i, name in enumerate(names)}
