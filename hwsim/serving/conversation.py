"""One session as it goes on: what stands in its next prompt, and which of it a prefix cache may hold.

Text is named by blocks: the same name, the same text after the same text.  What stays in the prompt keeps its names,
what is new or has moved gets new ones, and an answer is named too, since its KV is there when the next turn comes.
Simplification: of branches that ran side by side the first keeps its place in the text, the others move.
"""

from __future__ import annotations

from typing import Protocol

from hwsim.serving.request import Request
from hwsim.workload.sessions import Session, Stage


class Context(Protocol):
    """What of the history stands in the next prompt (one of ``hwsim.workload.context``)."""

    def carried(self, history: int) -> tuple[int, int]:
        """Leading tokens that stay as they were, and tokens after them that are moved or new."""
        ...


class Conversation:
    """History and names of one session; ``system`` names the blocks of the text that all sessions begin with."""

    __slots__ = (
        "block",
        "context",
        "fresh",
        "history",
        "ids",
        "latest",
        "left",
        "order",
        "priority",
        "refused",
        "session",
        "stage",
        "stream",
        "system_tokens",
    )

    def __init__(
        self,
        session: Session,
        context: Context,
        first: int,
        *,
        block: int,
        system: tuple[int, ...],
        system_tokens: int,
        priority: int = 0,
    ) -> None:
        """``first`` is the first name that only this session uses."""
        self.session = session
        self.context = context
        self.block = block
        self.system_tokens = system_tokens
        self.priority = priority
        self.ids: list[int] = list(system)
        self.history = 0
        self.fresh = first
        self.stage = 0
        self.left = 0  # requests of the present stage without an answer
        self.latest = 0
        self.refused = False
        self.order = session.number  # among all sessions, whatever their stream
        self.stream = 0

    @property
    def present(self) -> Stage:
        """The stage that is being sent or answered."""
        return self.session.stages[self.stage]

    def requests(self, first_index: int, step: int, arrival: int) -> list[Request]:
        """The requests of the present stage; their answers are counted into the history at once."""
        stage, block = self.present, self.block
        stays, rewritten = self.context.carried(self.history)
        base = self.system_tokens + stays
        before = base + rewritten
        common = self.ids[: base // block]
        common += self._names(before // block - len(common))
        found, after = [], common
        for number, call in enumerate(stage.calls):
            prompt = before + call.input_tokens
            whole = prompt + call.output_tokens
            ids = common + self._names(whole // block - len(common))
            request = Request(
                first_index + number * step,
                arrival,
                prompt,
                call.output_tokens,
                priority=self.priority,
                prefix_ids=tuple(ids[: prompt // block]) or None,
                prefix_block=block,
            )
            kept = ids[: (prompt if call.reasoning_tokens else whole) // block]
            if not call.reasoning_tokens:
                request.answer_ids = tuple(ids)
            if not number:
                after = kept
            found.append(request)
            self.history += call.input_tokens + call.output_tokens - call.reasoning_tokens
        self.ids = after if not rewritten else self.ids[: self.system_tokens // block]
        self.left = len(found)
        return found

    def _names(self, count: int) -> list[int]:
        """So many names that nobody else has."""
        names = list(range(self.fresh, self.fresh + max(count, 0)))
        self.fresh += len(names)
        return names
