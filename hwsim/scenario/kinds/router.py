"""Which replica gets a request."""

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Flag, Number, Seconds, Share
from hwsim.scenario.schema.record import Kind


class RoundRobin(Kind):
    """Replicas take turns."""

    kind: Literal["round_robin"]


class Random(Kind):
    """Each replica is as likely, independently for each request."""

    kind: Literal["random"]


class LeastLoaded(Kind):
    """The replica with the fewest unfinished requests (or prompt tokens of such), seen every ``age``."""

    kind: Literal["least_loaded"]
    by: Literal["requests", "tokens"] = "requests"
    age: Seconds = 0.0


class PowerOfTwo(Kind):
    """The less loaded of two replicas drawn at random, seen every ``age``."""

    kind: Literal["power_of_two"]
    by: Literal["requests", "tokens"] = "requests"
    age: Seconds = 0.0


class SessionSticky(Kind):
    """Requests whose first ``blocks`` prefix blocks are the same stay on one replica."""

    kind: Literal["session_sticky"]
    blocks: Count = 1


class VllmInternal(Kind):
    """The score by which vLLM balances data-parallel engines, from statistics that arrive every ``age``."""

    kind: Literal["vllm_internal"]
    age: Seconds = 0.1
    version: Literal["0.11", "0.33"] = "0.33"


class PrefixAware(Kind):
    """The replica that was sent the longest prefix of the prompt, if it is long enough and loads are balanced."""

    kind: Literal["prefix_aware"]
    threshold: Share = 0.5
    imbalance: Count = 32
    capacity: Count = 1 << 20
    age: Seconds = 0.0


class SloAware(Kind):
    """The replica that is forecast to keep the limits, with most time to spare (``pack``: with least)."""

    kind: Literal["slo_aware"]
    ttft: Seconds | None = None
    tpot: Seconds | None = None
    pack: Flag = False
    age: Seconds = 0.0


class KvAware(Kind):
    """The replica with the least work left after what is cached on its GPU, in its host memory and on its drives."""

    kind: Literal["kv_aware"]
    prefill_load_scale: Number = 1.0
    device_credit: Share = 1.0
    host_credit: Share = 0.75
    disk_credit: Share = 0.25
    capacity: Count = 1 << 20
    age: Seconds = 0.0


PART = (RoundRobin, Random, LeastLoaded, PowerOfTwo, SessionSticky, VllmInternal, PrefixAware, SloAware, KvAware)
