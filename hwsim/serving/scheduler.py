"""What a scheduler is to an engine: the one part that decides whom a step computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.part import Parts
from hwsim.serving.pipeline import FAR

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.request import Request

SCHEDULERS = Parts("hwsim.serving.schedulers")


class Scheduler:
    """One scheduling policy, in one file of ``hwsim/serving/schedulers`` whose ``PART`` is a subclass of this.

    The engine asks ``decides()`` in each call: False means "every decode row gets one token, nothing else can
    happen", and such steps are jumped over in closed form.  Otherwise ``decide(call)`` puts one batch together with
    the engine's verbs, ``enter`` and ``compute`` (prompts), ``preempt`` and last ``run``, which prices the batch
    and moves time.  ``could_admit()`` says whether an arrival is a moment at which a stretch must stop.  All three
    must depend only on what calls and arrivals have done, never on how many steps were taken at once: whatever
    changes with time alone must be asked for with ``moment()``.
    """

    lets_in_whole = False  # arrivals that fit whole enter at once, in order: ``boarding`` may do it
    remembers_preempted = True  # pages of a pre-empted request stay findable for it until somebody takes them

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        config = engine.config
        self.budget = config.max_num_batched_tokens  # tokens of one step
        if config.options.get("whole_prompts") and not config.enable_chunked_prefill:
            self.budget = max(self.budget, config.max_model_len)

    def decides(self) -> bool:
        """True when this call may do anything but give every decode row one token."""
        raise NotImplementedError

    def could_admit(self) -> bool:
        """True when an arrival would be worth a new decision although nobody ends."""
        raise NotImplementedError

    def next_look(self) -> int:
        """Decode steps until it looks at the queue again, where it does so only now and then."""
        return FAR

    def decide(self, call: int) -> None:
        """Put one batch together and run it (or run nothing); also called when a decode step lacks pages."""
        raise NotImplementedError

    def receives(self, request: Request) -> str | None:
        """An arrival, before it is queued: its limits may be cut to what the engine accepts; says why it is refused."""
        return None

    def requeue(self, request: Request) -> None:
        """A pre-empted request comes back: to the front of the queue."""
        self.engine.admission.return_to_front(request)

    def victim(self) -> Request:
        """Who gives up its pages when a decode step lacks some: the last that was let in."""
        return next(reversed(self.engine.running))

    def decode(self, call: int) -> None:
        """One step of all decode rows, after pre-empting as many as their pages take."""
        engine, rows = self.engine, self.engine.rows
        while rows.count and rows.pages(1) > engine.pool.free:
            engine.preempt(self.victim())
        if rows.count:
            engine.pool.take(rows.pages(1))
            engine.run(call, rows.count, rows.context(), [])

    def promised(self) -> int:
        """Pages that unfinished prompts among the running will still take."""
        size = self.engine.pool.block_size
        return sum(-(-r.known // size) - r.pages for r in self.engine.partials)

    def find(self, request: Request) -> tuple[int, int, list[list]]:
        """What of a prompt is cached here: (pages, how many of them lie in the free queue, holds for ``touch``)."""
        if request.prefix_ids is None and request.private is None:
            return 0, 0, []
        pool = self.engine.pool
        return pool.lookup(request, (request.known - 1) // pool.block_size)


def scheduler(engine: Engine) -> Scheduler:
    """The scheduler that the engine's configuration names."""
    return SCHEDULERS.get(engine.config.scheduler)(engine)
