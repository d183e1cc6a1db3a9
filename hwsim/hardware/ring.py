"""What the links of a node let a group of its GPUs exchange when all of them send at once: rings and all-to-all.

Simplification: steady traffic of equal shares, every way the fastest one; no latency (the protocol has it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from math import inf

from hwsim.hardware.wiring import Wiring

Pair = tuple[str, str]


def ring_bandwidth(wiring: Wiring, gpus: Sequence[str]) -> float:
    """Bytes/s that every GPU passes to its neighbour while all do, in the order given: the bus bandwidth of a ring."""
    return _shared(wiring, zip(gpus, (*gpus[1:], gpus[0]), strict=True))


def exchange_bandwidth(wiring: Wiring, gpus: Sequence[str]) -> float:
    """Bytes/s that every GPU sends in all while each sends the same to every other."""
    return (len(gpus) - 1) * _shared(wiring, permutations(gpus, 2))


def _shared(wiring: Wiring, pairs: Iterable[Pair]) -> float:
    """The rate at which equal flows between these pairs run together.

    What passes between sockets without touching memory shares the ``peer`` rate of the hop.
    """
    taken: dict[str, float] = {}
    peers: dict[str, float] = {}
    single = inf
    for start, end in pairs:
        for hop in wiring.path(start, end):
            single = min(single, hop.bandwidth)
            for name, share in hop.takes:
                taken[name] = taken.get(name, 0.0) + share
                if hop.peer < inf:
                    peers[name] = min(peers.get(name, inf), hop.peer)
    shared = (min(wiring.rates[name], peers.get(name, inf)) / share for name, share in taken.items() if share)
    return min(single, *shared) if taken else single
