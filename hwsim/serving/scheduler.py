"""What a scheduler is to an engine: the one part that decides whom a step computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.part import Parts

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

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

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def decides(self) -> bool:
        """True when this call may do anything but give every decode row one token."""
        raise NotImplementedError

    def could_admit(self) -> bool:
        """True when an arrival would be worth a new decision although nobody ends."""
        raise NotImplementedError

    def decide(self, call: int) -> None:
        """Put one batch together and run it (or run nothing); also called when a decode step lacks pages."""
        raise NotImplementedError

    def refuses(self, request: Any) -> str | None:
        """Why ``request`` could never be served, or None."""
        return None


def scheduler(engine: Engine) -> Scheduler:
    """The scheduler that the engine's configuration names."""
    return SCHEDULERS.get(engine.config.scheduler)(engine)
