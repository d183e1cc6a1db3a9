"""The sessions of a job on their way to engines: conversations with names for their text, and where each belongs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.part import Parts
from hwsim.serving.conversation import Conversation
from hwsim.serving.session_loop import SessionLoop
from hwsim.units import parse

if TYPE_CHECKING:
    from hwsim.scenario.intake import Intake, Progress
    from hwsim.serving.front_end import FrontEnd

CONTEXTS = Parts("hwsim.workload.context")
BLOCK = 16
NAMES = 1 << 24  # names that one session may use


def session_loop(intake: Intake, seed: int, progress: Progress | None, front: FrontEnd) -> SessionLoop:
    """The source of a job whose workload has sessions."""
    workload = intake.workload

    def told(conversation: Conversation, count: int) -> None:
        intake.sessions.extend([conversation.session.number] * count)
        intake.turns.extend([conversation.present.turn] * count)
        if len(intake.names) > 1:
            intake.streams.extend([conversation.stream] * count)
        if progress is not None and len(intake.sessions) % 1024 < count:
            progress(0.0, f"{len(intake.sessions):,} requests")

    return SessionLoop(
        _conversations(intake, seed),
        told,
        clients=workload.closed,
        think=workload.think,
        front=front,
        first=intake.number,
        step=intake.jobs,
    )


def _conversations(intake: Intake, seed: int) -> Iterator[Conversation]:
    specs = list(intake.workload.streams.items())
    made = [_maker(name, spec, number) for number, (name, spec) in enumerate(specs)]
    for order, (number, session) in enumerate(intake.workload.talks(seed)):
        yield made[number](session, order)


def _maker(name: str, spec: Mapping[str, Any], number: int) -> Any:
    asked = spec["sessions"]
    wanted = asked.get("context") or {"kind": "keep"}
    context = CONTEXTS.get(wanted["kind"])(wanted)
    block = int(parse(asked.get("block") or BLOCK, "tokens"))
    system = int(parse(asked.get("system_tokens") or 0, "tokens"))
    own = int.from_bytes(hashlib.blake2b(f"session/{name}".encode(), digest_size=6).digest(), "little") << 48
    names = tuple(range(own, own + system // block))
    priority = int(parse(spec.get("priority") or 0, "count", negative=True))

    def make(session: Any, order: int) -> Conversation:
        found = Conversation(
            session,
            context,
            own + (session.number + 1) * NAMES,
            block=block,
            system=names,
            system_tokens=system,
            priority=priority,
        )
        found.order, found.stream = order, number
        return found

    return make
