"""Faults that happen to replicas at given times: one stops and loses what it holds, or becomes slow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` is ``fail_stop`` or ``slow`` (then steps take ``factor`` times as long).  Times in subticks.

    ``until`` is when the replica is as before (None: never); ``detect`` how long after a stop its requests are sent
    to others.
    """

    name: str
    kind: str
    replica: int
    at: int
    until: int | None = None
    factor: float = 1.0
    detect: int = 0
