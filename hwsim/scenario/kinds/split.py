"""How a GPU's SMs are split between prefill and decode."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Duration, Positive, Share
from hwsim.scenario.schema.record import Kind


class _Split(Kind):
    """What all rules have: the share of prefill at the start, and how often they are asked."""

    prefill: Share = 0.5
    every: Duration = 0.05


class Fixed(_Split):
    """``prefill`` of the SMs, always."""

    kind: Literal["fixed"]


class Reactive(_Split):
    """``step`` more for decode while it misses ``tpot``, for prefill while it does not and prompts wait."""

    kind: Literal["reactive"]
    tpot: Duration
    step: Share = 0.1
    least: Share = 0.1


class Proactive(_Split):
    """Nexus: searched with the cost model; decode at most ``beta``, beyond ``kv_switch`` prefill at most ``alpha``."""

    kind: Literal["proactive"]
    alpha: Positive = 1.5
    beta: Positive = 1.3
    delta: Share = 0.1
    kv_switch: Share = 0.7
    grain: Share = 0.1


PART = (Fixed, Reactive, Proactive)
