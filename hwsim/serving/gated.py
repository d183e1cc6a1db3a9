"""Disaggregated serving that refuses requests at the door: by what waits at prefill, and by what decodes.

Mooncake's early rejection: a request that would wait too long for its first token at every prefill replica, or decode
too slowly at every decode replica, is turned away before anything is computed.  Simplification: decode is judged as it
is now, not as it will be when the prompt has been computed.
"""

from __future__ import annotations

from typing import Any

from hwsim.serving.disaggregation import DECODE, PREFILL, Disaggregation
from hwsim.serving.engine import FAR
from hwsim.serving.gate import Gate
from hwsim.serving.outlook import EngineOutlook
from hwsim.serving.request import Request


class Gated(Disaggregation):
    """A gate for each side (None: that side lets everybody in); one replica that lets a request in is enough."""

    def __init__(self, *others: Any, gates: tuple[Gate | None, Gate | None], **more: Any) -> None:
        super().__init__(*others, **more)
        self.gates = gates
        self.outlooks = tuple(
            EngineOutlook([getattr(engine, "engine", engine) for engine in self._side(side)])
            for side in (PREFILL, DECODE)
        )

    def _side(self, side: int) -> list[Any]:
        return self.engines[: self.first_decode] if side == PREFILL else self.engines[self.first_decode :]

    def _arrive(self, request: Request, time: int) -> None:
        for side, gate in enumerate(self.gates):
            reason = self._refusal(side, gate, request, time) if gate is not None else None
            if reason is not None:
                request.status, request.reason = "rejected", f"admission: {reason}"
                self.journal.rejected(self.numbers[self.first_decode * side], request)
                self.source.answered(request, time)
                return
        super()._arrive(request, time)

    def _refusal(self, side: int, gate: Gate, request: Request, time: int) -> str | None:
        """Why no replica of a side would take it now; the reason of the first."""
        loads, engines = self.loads[side], self._side(side)
        if gate.sees == "engines":
            first = self.first_decode if side == DECODE else 0
            for number in [first + place for place in loads.open]:
                self.engines[number].advance(time)
                call = self.engines[number].boundary()
                self.calls[number] = FAR if call is None else call
                self._hear(number, time)
            loads.outlook = self.outlooks[side]
            loads.look(engines)
        reasons = [gate.refusal(self.seen.turn(request), number, loads) for number in loads.open]
        return reasons[0] if reasons and all(reason is not None for reason in reasons) else None
