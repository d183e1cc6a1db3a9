"""How many replicas run."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import At, Count, Duration, Positive, Seconds, Share
from hwsim.scenario.schema.record import Kind


class _Autoscale(Kind):
    """What all rules have: limits (``max`` left out is ``replicas``), how often they are asked, and what starts take.

    A replica takes requests ``start_up`` after its weights have come from ``weights_from`` (``dram``, ``ssd``,
    ``group/dram``; left out: the start-up time includes them).  One is stopped when fewer have been wanted for
    ``cool_down``.
    """

    min: Count = 1
    max: Count | None = None
    every: Duration = 5.0
    start_up: Seconds = 0.0
    cool_down: Seconds = 60.0
    weights_from: At | None = None


class Requests(_Autoscale):
    """As many as give each ``target`` unfinished requests."""

    kind: Literal["requests"]
    target: Positive


class KvUsage(_Autoscale):
    """As many as bring the use of KV memory to ``target``."""

    kind: Literal["kv_usage"]
    target: Share = 0.7
    tolerance: Share = 0.1


class Slo(_Autoscale):
    """One more when a forecast misses a limit, one less below ``low`` of it; limits left out are those of ``slo``."""

    kind: Literal["slo"]
    ttft: Seconds | None = None
    tpot: Seconds | None = None
    low: Share = 0.5


PART = (Requests, KvUsage, Slo)
