"""Main memory and CXL under load: latency by bandwidth in use, several memories interleaved, mixes of reads and writes.

Bandwidths are bytes/s, times seconds.  Simplification: a memory has one latency for all who wait on it at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwsim.hardware.curve import Reading

if TYPE_CHECKING:
    from hwsim.hardware.device import Device

QUEUEING = 0.15  # fitted to a public MLC log of a two-socket Xeon up to 65 % of its bandwidth
SATURATED = 3.5  # times the idle latency at which queues are full: 2.5 to 4 in the same logs
LINE = 64  # bytes that a load brings


def loaded_latency(device: Device, bandwidth: float, *, prefix: str = "") -> Reading:
    """Seconds of a load while ``bandwidth`` is in use: off the measured curve, else ``L0 (1 + a u/(1-u))``.

    ``prefix`` is ``dram.`` for a processor.  ``inside`` is False for the law and beyond the curve.  The law keeps to
    the logs it was compared with within 10 % up to 85 % of the bandwidth, and overstates the latency above.
    """
    curve = device.curves.get(f"{prefix}loaded_latency")
    if curve is not None:
        return curve.at(bandwidth)
    idle = device.need(f"{prefix}latency")
    names = ("achieved", "bandwidth") if prefix else ("bandwidth", "read_bandwidth")
    most = next((found for name in names if (found := device.get(prefix + name))), None)
    if most is None:
        return Reading(idle, False)
    used = min(bandwidth / most, 0.99)
    return Reading(idle * min(SATURATED, 1 + QUEUEING * used / (1 - used)), False)


def thread_bandwidth(latency: float, threads: int, outstanding: int, most: float) -> float:
    """Bytes/s that ``threads`` draw with so many cache lines outstanding each: Little's law up to ``most``."""
    return min(most, threads * outstanding * LINE / latency)


def interleaved(bandwidths: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Bytes/s of memories that pages are dealt over by ``weights``: the one that is full first stops all.

    Without weights, those of the bandwidths, which fill all at once.
    """
    shares = bandwidths if weights is None else weights
    total = sum(shares)
    return min(rate * total / share for rate, share in zip(bandwidths, shares, strict=True) if share)


def mixed(read: float, write: float, total: float, reads: float) -> float:
    """Bytes/s of a memory behind a full-duplex link when a share ``reads`` of the bytes is read.

    Each direction of the link has its limit and the memory behind it one for both, so a mix can beat reads alone.
    """
    sides = [total]
    if reads > 0:
        sides.append(read / reads)
    if reads < 1:
        sides.append(write / (1 - reads))
    return min(sides)
