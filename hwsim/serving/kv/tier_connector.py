"""What an engine is told of KV below its GPUs: how much of a prompt can be loaded, and whether that pays."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from hwsim.cost.price import SUBTICKS_PER_SECOND, Pricer, StepShape
from hwsim.serving.kv.tier_store import Found, TierStore
from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


class Prefill(Protocol):
    """What computing (or getting in another way) the first tokens of a prompt takes."""

    def upto(self, tokens: int) -> float:
        """Seconds of the first ``tokens`` tokens."""
        ...


Miss = Callable[[Sequence[float], Callable[[int], float]], int]


class PrefillTime:
    """Seconds to compute a prompt's first ``n`` tokens alone: the price at doubling lengths, straight lines between.

    Attention is causal, so tokens from ``a`` to ``b`` take the difference.  Simplification: one step however long.
    """

    def __init__(self, pricer: Pricer) -> None:
        self._pricer = pricer
        self._windows = len(getattr(pricer, "windows", ()))
        self._lengths = [0]
        self._seconds = [0.0]

    def upto(self, tokens: int) -> float:
        """Seconds of the first ``tokens`` tokens."""
        lengths = self._lengths
        while lengths[-1] < tokens:
            lengths.append(max(lengths[-1] * 2, 256))
            self._seconds.append(self._price(lengths[-1]))
        i = bisect_left(lengths, tokens)
        if not i:
            return 0.0
        low, high = lengths[i - 1], lengths[i]
        below, above = self._seconds[i - 1], self._seconds[i]
        return below + (above - below) * (tokens - low) / (high - low)

    def _price(self, tokens: int) -> float:
        shape, none = StepShape(0, ((tokens, 0),), 1), (0,) * self._windows
        price = self._pricer.price(shape, 0, none) if none else self._pricer.price(shape, 0)
        return price.device(0, none) / SUBTICKS_PER_SECOND


class TierConnector:
    """The connector of one engine to the store of its node (see :class:`hwsim.serving.remote.Connector`).

    ``seconds(number, found, start)`` is asked when each stretch of found chunks would have come.
    """

    def __init__(
        self,
        engine: Engine,
        store: TierStore,
        miss: Miss,
        prefill: PrefillTime,
    ) -> None:
        self.engine = engine
        self.number = 0
        self.store = store
        self.miss = miss
        self.prefill = prefill
        self.seconds: Callable[[int, list[Found], int], list[float]] = lambda *_: []
        # first page, what to load, and which of it would be there sooner if it were computed
        self.plans: dict[Request, tuple[int, list[Found], list[bool]]] = {}
        self.late: list[bool] = []

    def external(self, request: Request, local_tokens: int) -> int:
        """Tokens beyond ``local_tokens`` that are to be loaded."""
        if request.prefix_ids is None:
            return 0
        size = self.engine.pool.block_size
        start = local_tokens // size
        found = self.look(request, start)
        if not found:
            return 0
        self.plans[request] = (start, found, self.late)
        return found[-1].end * size - local_tokens

    def look(self, request: Request, start: int, otherwise: Prefill | None = None) -> list[Found]:
        """What lies in the tiers from page ``start`` on and is worth loading; ``otherwise``: what it takes without."""
        upto = (otherwise or self.prefill).upto
        size = self.engine.pool.block_size
        found = self.store.find(self.store.chunks(request, size), start, (request.known - 1) // size)
        if not found:
            return found
        ends = [start * size, *(part.end * size for part in found)]
        whole = upto(request.known)
        seconds = self.seconds(self.number, found, start)
        count = self.miss(seconds, lambda loaded: whole - upto(ends[loaded]))
        self.late = [False] * count
        before = 0.0
        for number in range(count):
            self.late[number] = seconds[number] - before > upto(ends[number + 1]) - upto(ends[number])
            before = seconds[number]
        return found[:count]


class Carried:
    """What a hand-over of the first tokens takes, alone on its way, in seconds per token."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def upto(self, tokens: int) -> float:
        """Seconds of the first ``tokens`` tokens."""
        return tokens * self._seconds


class DecodeConnector(TierConnector):
    """The connector of an engine that is handed prompts: what its own tiers hold of one need not be handed over.

    ``carried`` is what handing over takes; whether to load is decided against that.  Prompts that are computed here
    are loaded as anywhere.  Simplification: both ways are compared as if one followed the other, though they overlap.
    """

    carried = Carried(0.0)

    def external(self, request: Request, local_tokens: int) -> int:
        """All tokens beyond ``local_tokens``, whoever brings them."""
        if request.remote_tokens <= 0:
            return super().external(request, local_tokens)
        self.plans.pop(request, None)
        rest = max(request.remote_tokens - local_tokens, 0)
        if rest and request.prefix_ids is not None:
            start = local_tokens // self.engine.pool.block_size
            found = self.look(request, start, self.carried)
            if found:
                self.plans[request] = (start, found, self.late)
        return rest
