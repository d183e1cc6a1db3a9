"""Sessions as a source of requests: each stage is sent when the one before has been answered and its pause is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.conversation import Conversation
from hwsim.serving.front_end import FrontEnd
from hwsim.serving.request import Request


class SessionLoop:
    """Conversations that begin as a process says, or ``clients`` at a time (then one begins when another has ended).

    ``told(conversation, requests)`` hears of every stage that is sent.  A refused request ends its session: what would
    have followed never arrives.  Of the API server only the constant times count (``front``): stages do not queue
    there, and their prompts are tokenised in no time.
    """

    def __init__(
        self,
        conversations: Iterator[Conversation],
        told: Callable[[Conversation, int], None],
        *,
        clients: int | None = None,
        think: int = 0,
        front: FrontEnd | None = None,
        first: int = 0,
        step: int = 1,
    ) -> None:
        """Requests are numbered ``first``, ``first + step``, … in the order in which they are sent."""
        self._conversations = conversations
        self._told = told
        self._think = think
        self._late, self._after = front.constants() if front is not None else (0, 0)
        self._closed = clients is not None
        self._index, self._step = first, step
        self._due: list[tuple[int, int, Conversation]] = []  # stages by time, then by session
        self._ready: deque[Request] = deque()  # requests of a stage that has begun
        self._of: dict[int, Conversation] = {}  # by index of the request
        self._next = None if self._closed else next(conversations, None)
        for _ in range(clients or 0):
            self._begin(0)

    def _begin(self, time: int) -> None:
        """In a closed loop: the next conversation starts."""
        found = next(self._conversations, None)
        if found is not None:
            heappush(self._due, (time, found.order, found))

    def next_time(self) -> int | None:
        """Time of the next request in subticks."""
        if self._ready:
            return self._ready[0].arrival_alone
        first = self._sent()
        return None if first is None else first + (self._late << SUBTICK_BITS)

    def _sent(self) -> int | None:
        """When the next stage leaves its client, in subticks."""
        first = self._due[0][0] if self._due else None
        if self._next is not None:
            arrival = self._next.session.arrival << SUBTICK_BITS
            return arrival if first is None or arrival < first else first
        return first

    def next_arrival(self) -> int | None:
        """Time of the next request in whole ticks."""
        time = self.next_time()
        return None if time is None else time >> SUBTICK_BITS

    def pop(self) -> Request:
        """The next request."""
        if not self._ready:
            self._send()
        return self._ready.popleft()

    def take(self, until: int) -> list[Request]:
        """All requests sent at or before ``until``."""
        taken = []
        while (time := self.next_time()) is not None and time >> SUBTICK_BITS <= until:
            taken.append(self.pop())
        return taken

    def _send(self) -> None:
        time = self._sent()
        assert time is not None
        visible = time + (self._late << SUBTICK_BITS)
        if self._next is not None and self._next.session.arrival << SUBTICK_BITS == time:
            conversation, self._next = self._next, next(self._conversations, None)
        else:
            conversation = heappop(self._due)[2]
        requests = conversation.requests(self._index, self._step, time >> SUBTICK_BITS)
        for request in requests:
            request.visible, request.after = visible >> SUBTICK_BITS, self._after
            request.arrival_alone = visible  # until it is submitted
            self._of[request.index] = conversation
            self._index += self._step
        self._told(conversation, len(requests))
        self._ready.extend(requests)

    def answered(self, request: Request, time: int) -> None:
        """One answer of a stage is there; with the last of them the pause begins."""
        conversation = self._of.pop(request.index)
        conversation.left -= 1
        conversation.latest = max(conversation.latest, time + (request.after << SUBTICK_BITS))
        conversation.refused |= request.status == "rejected"
        if conversation.left:
            return
        conversation.stage += 1
        if conversation.refused or conversation.stage == len(conversation.session.stages):
            if self._closed:
                self._begin(conversation.latest + (self._think << SUBTICK_BITS))
            return
        pause = conversation.present.pause << SUBTICK_BITS
        heappush(self._due, (conversation.latest + pause, conversation.order, conversation))
