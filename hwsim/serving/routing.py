"""What a router may see and must answer: a request without its true length, and loads of replicas as of some time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from hwsim.serving.kv.chunks import chains

if TYPE_CHECKING:
    from hwsim.serving.coupled import Coupled
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request

Sees = Literal["nothing", "counts", "engines"]


class Seen:
    """A request as policies see it: everything but how long its answer will be.  One object, turned to each in turn."""

    __slots__ = ("_request",)

    def __init__(self) -> None:
        self._request: Request | None = None

    def turn(self, request: Request) -> Seen:
        """Show ``request`` from now on."""
        self._request = request
        return self

    @property
    def arrival(self) -> int:
        """Arrival in picoseconds."""
        return self._request.arrival  # type: ignore[union-attr]

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return self._request.prompt_tokens  # type: ignore[union-attr]

    @property
    def max_tokens(self) -> int:
        """The limit that the client gave for the answer."""
        return self._request.max_tokens  # type: ignore[union-attr]

    @property
    def priority(self) -> int:
        """Smaller is more urgent."""
        return self._request.priority  # type: ignore[union-attr]

    @property
    def prefix_ids(self) -> tuple[int, ...] | None:
        """Names of the prompt's leading blocks, or None."""
        return self._request.prefix_ids  # type: ignore[union-attr]

    @property
    def chains(self) -> list[int]:
        """Names of the leading blocks that say all that precedes them, too."""
        return chains(self._request)  # type: ignore[arg-type]

    @property
    def prefix_block(self) -> int:
        """Tokens per prefix block."""
        return self._request.prefix_block  # type: ignore[union-attr]


class Loads:
    """Loads of all replicas as columns, as of one time; policies read them and never write.

    ``requests`` and ``tokens`` (unfinished requests and their prompt tokens) are what a router can count itself from
    what it sent and what was answered.  ``waiting``, ``running``, ``kv_usage``, ``backlog`` (prompt tokens that are
    still to be computed) and what decodes (``rows``, ``contexts``) come from the engines and are filled only for
    policies that see ``engines``.  ``open`` numbers the replicas that take requests, in order; the others have failed,
    are starting, or are about to stop.  ``outlook`` says what work would take (None: nobody asked for it).
    ``prefilling`` (prompt tokens of requests that are not yet computed) and ``below`` are filled only for routers that
    hear of KV: stretches of the prefix of the request at hand in the memory below each replica's GPUs, as (first token,
    end token, on a drive).
    """

    __slots__ = (
        "backlog",
        "below",
        "contexts",
        "kv_usage",
        "open",
        "outlook",
        "prefilling",
        "requests",
        "rows",
        "running",
        "tokens",
        "waiting",
    )

    def __init__(self, replicas: int) -> None:
        self.open: list[int] = list(range(replicas))
        self.outlook: Outlook | None = None
        self.requests: list[int] = [0] * replicas
        self.tokens: list[int] = [0] * replicas
        self.waiting: list[int] = [0] * replicas
        self.running: list[int] = [0] * replicas
        self.kv_usage: list[float] = [0.0] * replicas
        self.prefilling: list[int] = [0] * replicas
        self.below: list[list[tuple[int, int, bool]]] = [[]] * replicas
        self.backlog: list[int] = [0] * replicas
        self.rows: list[int] = [0] * replicas
        self.contexts: list[int] = [0] * replicas

    def sent(self, replica: int, request: Request) -> None:
        """Count a request that was sent to a replica."""
        self.requests[replica] += 1
        self.tokens[replica] += request.prompt_tokens

    def ended(self, replica: int, request: Request) -> None:
        """Count a request that a replica has answered or refused."""
        self.requests[replica] -= 1
        self.tokens[replica] -= request.prompt_tokens

    def copy(self) -> Loads:
        """The loads as they are now, to be kept."""
        copy = Loads(0)
        for name in self.__slots__:
            if name not in ("open", "outlook"):
                setattr(copy, name, list(getattr(self, name)))
        copy.open, copy.outlook = self.open, self.outlook  # who takes requests is always known
        return copy

    def least(self, column: Sequence[float], last: int = -1) -> int:
        """The open replica with the least value in ``column``; of equal ones the next after ``last`` in turn."""
        if len(self.open) == len(column):
            least = min(column)
            for i in range(last + 1, len(column)):
                if column[i] == least:
                    return i
            return column.index(least)
        least = min([column[i] for i in self.open])
        equal = [i for i in self.open if column[i] == least]
        return next((i for i in equal if i > last), equal[0])

    def look(self, engines: Sequence[Engine | Coupled]) -> None:
        """Read what only the engines know."""
        for i, engine in enumerate(engines):
            self.waiting[i] = len(engine.admission.waiting) + len(engine.inbox)
            self.running[i] = len(engine.running)
            pool = engine.pool
            self.kv_usage[i] = (pool.usable - pool.free) / pool.usable
        if self.outlook is not None:
            for i, engine in enumerate(engines):
                self.rows[i], self.contexts[i] = engine.decoding()
                self.backlog[i] = backlog(engine)


def backlog(engine: Engine | Coupled) -> int:
    """Tokens of prompts that an engine has and has not computed (what its cache may hold is not taken off)."""
    waiting = sum([request.known for request in engine.admission.requests()])
    coming = sum([request.known for request in engine.inbox])
    return waiting + coming + sum([request.known - request.computed for request in engine.partials])


class Outlook(Protocol):
    """What work would take on each replica, in seconds, by the same prices that its engine runs at."""

    def prefill(self, replica: int, tokens: int, loads: Loads) -> float:
        """Until so many prompt tokens are computed beside the rows that decode there."""
        ...

    def decode(self, replica: int, loads: Loads, more: int = 1) -> float:
        """One decode step with ``more`` rows than there are."""
        ...


class HearsKv(Protocol):
    """A router that is told what KV replicas come to hold and lose on their GPUs, as chains of prefix ids."""

    def stored(self, chains: Sequence[int], replica: int) -> None:
        """``replica`` holds the blocks known by ``chains``."""
        ...

    def lost(self, chains: Sequence[int], replica: int) -> None:
        """``replica`` begins to lose the blocks known by ``chains``."""
        ...

    def emptied(self, replica: int) -> None:
        """``replica`` holds nothing any more."""
        ...


class Router(Protocol):
    """Chooses a replica for each request.

    ``sees`` says what the choice depends on: ``nothing`` of the replicas' state (then engines run ahead of the
    clock), ``counts`` of unfinished requests, or the ``engines`` themselves.  ``age`` (ps) is how often the view is
    refreshed; 0 is a view of the present.
    """

    sees: ClassVar[Sees]
    age: int

    def route(self, request: Seen, loads: Loads) -> int:
        """The number of the replica that gets ``request``."""
        ...
