"""What links let a group of GPUs exchange when all of them send at once: rings and all-to-all in a node, rails between.

Simplification: steady traffic of equal shares, every way the fastest one; no latency (the protocol has it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, permutations
from math import inf

from hwsim.hardware.hop import Hop
from hwsim.hardware.ideal import UNLIMITED, Ideal
from hwsim.hardware.system import Group, System
from hwsim.hardware.wiring import Wiring

Pair = tuple[str, str]
NOTHING = Ideal()


def ring_bandwidth(wiring: Wiring, gpus: Sequence[str], ideal: Ideal = NOTHING) -> float:
    """Bytes/s that every GPU passes to its neighbour while all do, in the order given: the bus bandwidth of a ring."""
    return _shared(wiring, zip(gpus, (*gpus[1:], gpus[0]), strict=True), ideal)


def exchange_bandwidth(wiring: Wiring, gpus: Sequence[str], ideal: Ideal = NOTHING) -> float:
    """Bytes/s that every GPU sends in all while each sends the same to every other."""
    return (len(gpus) - 1) * _shared(wiring, permutations(gpus, 2), ideal)


def rail(system: System, group: Group) -> tuple[float, float]:
    """Bytes/s that every GPU of a node sends to its like in another while all do, and seconds that a message waits.

    The first and the last node of the group stand for any two.
    """
    one, other = (system.prefix(group, index) for index in (0, group.nodes - 1))
    flows, latency = [], 0.0
    for start, end in ((one, other), (other, one)):
        for index in range(group.node.gpus):
            for way in system.ways(f"{start}gpu{index}", f"{end}gpu{index}"):
                hops = [(leg.prefix, leg.hop) for leg in way.legs]
                flows.append(hops)
                slow = [hop for _, hop in hops if not system.ideal.covers_hop(hop)]
                latency = max(latency, sum(hop.latency + hop.message_overhead for hop in slow))
    return _together(flows, system.capacities(), system.ideal), latency


def _shared(wiring: Wiring, pairs: Iterable[Pair], ideal: Ideal) -> float:
    """The rate at which equal flows between these pairs of a node run together."""
    return _together(([("", hop) for hop in wiring.path(*pair)] for pair in pairs), wiring.rates, ideal)


def _together(flows: Iterable[Iterable[tuple[str, Hop]]], rates: Mapping[str, float], ideal: Ideal) -> float:
    """The rate of equal flows at the same time.

    What passes between sockets without touching memory shares the ``peer`` rate of the hop.
    """
    taken: dict[str, float] = {}
    peers: dict[str, float] = {}
    least = UNLIMITED
    for prefix, hop in chain.from_iterable(flows):
        if ideal.covers_hop(hop):
            continue
        least = min(least, hop.bandwidth)
        for name, share in hop.takes:
            taken[prefix + name] = taken.get(prefix + name, 0.0) + share
            if hop.peer < inf:
                peers[prefix + name] = min(peers.get(prefix + name, inf), hop.peer)
    for name, share in taken.items():
        least = min(least, min(rates[name], peers.get(name, inf)) / share)
    return least
