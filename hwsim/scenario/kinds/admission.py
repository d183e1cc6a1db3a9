"""Which requests are let in."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Integer, Positive, Seconds
from hwsim.scenario.schema.record import Kind


class _Admission(Kind):
    """What all rules have: requests with a priority number up to ``exempt`` are always let in."""

    exempt: Integer | None = None


class QueueLimit(_Admission):
    """Refuse a request when ``waiting`` others wait at its replica."""

    kind: Literal["queue_limit"]
    waiting: Count


class Concurrency(_Admission):
    """Refuse a request when its replica has ``limit`` unfinished ones."""

    kind: Literal["concurrency"]
    limit: Count


class Slo(_Admission):
    """Refuse a request that is forecast to take ``margin`` times a limit; limits left out are those of ``slo``."""

    kind: Literal["slo"]
    ttft: Seconds | None = None
    tpot: Seconds | None = None
    margin: Positive = 1.0


PART = (QueueLimit, Concurrency, Slo)
