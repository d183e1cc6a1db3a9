"""Who was scheduled in which step, expanded on demand from prompt chunks and intervals of decode steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.batch import DecodeRows
    from hwsim.serving.engine import Engine


COLUMNS = ("step", "request_id", "num_scheduled_tokens", "num_cached_tokens", "num_blocks", "free_blocks")


class Chunk(NamedTuple):
    """One prompt chunk: its tokens, the tokens found in the cache at admission, and the pages held afterwards."""

    step: int
    request: Request
    sequence: int
    tokens: int
    cached: int
    pages: int


class Rows(NamedTuple):
    """Decode rows of a request at ``first <= beat < end`` of ``batch``; computed before: ``offset + beat`` tokens."""

    first: int
    end: int
    request: Request
    sequence: int
    offset: int
    batch: int


class ScheduleLog:
    """The schedule of every step in the space of its changes: a decode of 500 tokens is one entry.

    ``table`` expands a range of steps to one row per (step, request) in running order, which is what vLLM's
    scheduler output tells: scheduled tokens, cached tokens at admission, blocks held, blocks free after the call.
    """

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.rows: list[Rows] = []
        self.freed: dict[int, int] = {}  # pages that came free before this step, inside a stretch
        self.spans: list[tuple[int, int, int, int]] = []  # first step, steps, batch, first beat: when rows had a turn
        self._hits: dict[Request, tuple[int, int]] = {}
        self._open: dict[Request, tuple[int, int]] = {}

    # -- what the engine reports ---------------------------------------------------------------------------------

    def admitted(self, request: Request, step: int, cached: int) -> None:
        """``request`` entered the running list in ``step`` with ``cached`` tokens found."""
        self._hits[request] = (step, cached)

    def computed(self, request: Request, step: int, tokens: int) -> None:
        """``request`` computes a prompt chunk in ``step``."""
        at, cached = self._hits.get(request, (-1, 0))
        chunk = Chunk(step, request, request.sequence, tokens, cached if at == step else 0, request.pages)
        self.chunks.append(chunk)

    def ran(self, step: int, steps: int, rows: DecodeRows, decodes: int) -> None:
        """``steps`` steps from ``step`` on were executed; ``rows`` had their turn in them if there are ``decodes``."""
        if decodes:
            self.spans.append((step, steps, rows.number, rows.beat))

    def joined(self, request: Request, beat: int, batch: int = 0) -> None:
        """``request`` is a decode row of a batch from ``beat`` on."""
        self._open[request] = (beat, batch)

    def left(self, request: Request, beat: int) -> None:
        """``request`` is no decode row at ``beat`` and after."""
        first, batch = self._open.pop(request)
        if beat > first:
            self.rows.append(Rows(first, beat, request, request.sequence, request.offset, batch))

    # -- what a reader asks --------------------------------------------------------------------------------------

    def table(self, engine: Engine, first: int = 0, end: int = 1 << 62) -> dict[str, list]:
        """One row per scheduled request of each step ``first <= step < end``, in running order."""
        columns: dict[str, list] = {name: [] for name in COLUMNS}
        size = engine.config.block_size
        stretches = _stretches(engine, first, end)
        if not stretches:
            return columns
        schedule = self._by_step(stretches[0][0], stretches[-1][0] + stretches[-1][1], size)
        for start, steps, free in stretches:
            frees = self._free(start, steps, free, schedule)
            for step in range(max(start, first), min(start + steps, end)):
                for _, name, tokens, cached, pages, _ in sorted(schedule[step]):
                    values = (step, name, tokens, cached, pages, frees[step - start])
                    for column, value in zip(columns.values(), values, strict=True):
                        column.append(value)
        return columns

    def _by_step(self, low: int, high: int, size: int) -> dict[int, list[tuple]]:
        """(sequence, name, tokens, cached, pages, pages taken) of everyone scheduled, by step."""
        schedule: dict[int, list[tuple]] = {step: [] for step in range(low, high)}
        for chunk in self.chunks:
            if low <= chunk.step < high:
                row = (chunk.sequence, _name(chunk.request), chunk.tokens, chunk.cached, chunk.pages, 0)
                schedule[chunk.step].append(row)
        turns = self._turns(low, high)
        for rows in self.rows:
            name, turn = _name(rows.request), turns.get(rows.batch, {})
            for beat in range(rows.first, rows.end) if turn else ():
                if beat in turn:
                    computed = rows.offset + beat
                    taken = 0 if computed % size else 1
                    schedule[turn[beat]].append((rows.sequence, name, 1, 0, -(-(computed + 1) // size), taken))
        return schedule

    def _turns(self, low: int, high: int) -> dict[int, dict[int, int]]:
        """batch -> beat -> step, for the steps ``low <= step < high``."""
        turns: dict[int, dict[int, int]] = {}
        for first, steps, batch, beat in self.spans:
            turn = turns.setdefault(batch, {})
            for step in range(max(first, low), min(first + steps, high)):
                turn[beat + step - first] = step
        return turns

    def _free(self, first: int, steps: int, free: int, schedule: dict[int, list[tuple]]) -> list[int]:
        """Free pages after each call of a stretch, from those after its last."""
        out = [free] * steps
        for j in range(steps - 2, -1, -1):
            step = first + j + 1
            out[j] = out[j + 1] + sum(row[5] for row in schedule[step]) - self.freed.get(step, 0)
        return out


def _name(request: Request) -> str:
    return request.request_id if request.request_id is not None else str(request.index)


def _stretches(engine: Engine, first: int, end: int) -> list[tuple[int, int, int]]:
    table = engine.journal.stretch_table()
    mine = table["replica"] == engine.replica
    rows = zip(*(table[name][mine].tolist() for name in ("first_step", "steps", "free_pages")), strict=True)
    return [row for row in rows if row[0] < end and row[0] + row[1] > first]
