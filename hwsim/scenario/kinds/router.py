"""Which replica gets a request."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.record import Kind


class RoundRobin(Kind):
    """Replicas take turns."""

    kind: Literal["round_robin"]


class LeastLoaded(Kind):
    """The replica with the fewest requests waiting and running."""

    kind: Literal["least_loaded"]


class PowerOfTwo(Kind):
    """The less loaded of two replicas drawn at random."""

    kind: Literal["power_of_two"]


class PrefixAware(Kind):
    """The replica that holds the longest prefix of the prompt, load permitting."""

    kind: Literal["prefix_aware"]


class KvAware(Kind):
    """The replica with the least work left after its cached prefix and its free KV pages."""

    kind: Literal["kv_aware"]


PART = (RoundRobin, LeastLoaded, PowerOfTwo, PrefixAware, KvAware)
