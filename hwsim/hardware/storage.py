"""A drive or phone flash: what it delivers by I/O size, queue depth, direction and pattern, and how long it lives.

One access of ``s`` bytes alone takes ``t(s)``; ``q`` of them in flight give ``q s / t(s)`` until the drive is
saturated at ``s``.  Measured curves come first; without one ``t(s)`` is the latency of a small access plus the
transfer, and saturation is the lower of bandwidth and ``IOPS x s``.  Simplification: writes hold the sustained rate;
the burst that a write cache takes is a separate rule (:meth:`Drive.write_seconds`).
"""

from __future__ import annotations

from bisect import bisect_left
from math import exp, inf, log
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hwsim.hardware.curve import Curve
    from hwsim.hardware.device import Device

SMALL = 4096  # bytes of the access that data sheets give IOPS and latency for
YEAR = 365 * 86400.0
DEEP = 32.0  # depth from which a curve counts as saturated where nobody gave the device's own
WARRANTY = 5.0  # years over which drive writes per day are promised


class Speed(NamedTuple):
    """Bytes/s of one stream of accesses alone, and of as many as saturate the drive; ``measured``: off a curve."""

    alone: float
    saturated: float
    measured: bool


class Drive:
    """One drive, or ``stripes`` equal ones as a RAID-0 volume (each gets its share of every stream)."""

    def __init__(self, device: Device, stripes: int = 1) -> None:
        self.device = device
        self.stripes = stripes
        plain = device.get("bandwidth")
        self.read_bandwidth = self._whole(device.get("read_bandwidth", plain), "read")
        self.write_bandwidth = self._whole(device.get("write_bandwidth", plain), "write")
        self.latency = device.get("latency", 0.0) or 0.0
        self.write_latency = device.get("write_latency", self.latency) or 0.0

    def _whole(self, rate: float | None, way: str) -> float | None:
        """Bandwidth of large accesses: the figure, else the highest point of its curves."""
        if rate is None:
            curves = [self.device.curves.get(f"{kind}_{way}") for kind in ("sequential", "random")]
            rate = max((curve.most() for curve in curves if curve is not None), default=None)
        return None if rate is None else rate * self.stripes

    def speed(
        self,
        io_size: float | None = None,
        queue_depth: float | None = None,
        *,
        write: bool = False,
        random: bool = True,
        issuers: int = 1,
    ) -> Speed:
        """What a stream of accesses gets alone and what they get at most.

        ``io_size`` None: large sequential accesses, as deep as it takes.  ``queue_depth`` None: as deep as it takes.
        ``issuers``: cores that send commands; a drive with one command queue loses by more than one.
        """
        whole = (self.write_bandwidth if write else self.read_bandwidth) or 0.0
        if io_size is None or not whole:
            return Speed(whole, whole, False)
        depth = None if queue_depth is None else queue_depth / self.stripes
        one = self._one(io_size, depth, write, random)
        loss = self.device.get("several_issuers", 1.0) if issuers > 1 else 1.0
        scale = self.stripes * (loss or 1.0)
        return Speed(one.alone * scale, one.saturated * scale, one.measured)

    def _one(self, size: float, depth: float | None, write: bool, random: bool) -> Speed:
        """One drive's speed at a depth of its own."""
        curve = self._curve(write, random)
        limit = self._limit(size, write, random)
        if curve is None:
            single = size / self._single(size, write)
            return Speed(limit if depth is None else min(limit, depth * single), limit, False)
        first, last = next(iter(curve.series)) or 1.0, list(curve.series)[-1] or 1.0
        top, inside = self._read_off(curve, size, last, write)
        deep = self.device.get("queue_depth", DEEP) or DEEP
        saturated = top if last >= deep else max(top, limit)
        if depth is None:
            return Speed(saturated, saturated, inside and last >= deep)
        if depth > last:
            return Speed(min(saturated, top * depth / last), saturated, False)
        found, inside = self._read_off(curve, size, max(depth, first), write)
        return Speed(found * min(1.0, depth / first), max(saturated, found), inside and depth >= first)

    def _read_off(self, curve: Curve, size: float, depth: float, write: bool) -> tuple[float, bool]:
        """A curve at a size and a depth between the measured ones; deeper is never slower."""
        keys = list(curve.series)
        known = [self._at_depth(curve, key, size, write) for key in keys]
        rates = [max(rate for rate, _ in known[: place + 1]) for place in range(len(keys))]
        place = bisect_left(keys, depth)
        if keys[place] == depth or not place:
            return rates[place], known[place][1]
        share = log(depth / keys[place - 1]) / log(keys[place] / keys[place - 1])
        rate = exp(log(rates[place - 1]) + share * log(rates[place] / rates[place - 1]))
        return rate, known[place - 1][1] and known[place][1]

    def _at_depth(self, curve: Curve, depth: float, size: float, write: bool) -> tuple[float, bool]:
        """A curve at one of its depths.

        Smaller accesses than measured take as long as the smallest; of larger ones the rest goes at full bandwidth.
        """
        points = curve.series[depth]
        first, last = points[0], points[-1]
        if size < first[0]:
            return first[1] * size / first[0], False
        if size > last[0]:
            whole = ((self.write_bandwidth if write else self.read_bandwidth) or inf) / self.stripes
            return size / (last[0] / last[1] + (size - last[0]) / max(whole, last[1])), False
        return curve.at(size, depth).value, True

    def _limit(self, size: float, write: bool, random: bool) -> float:
        """Saturated bytes/s of one drive at an I/O size by its data sheet."""
        whole = (self.write_bandwidth if write else self.read_bandwidth) or 0.0
        iops = self.device.get("write_iops" if write else "read_iops")
        own = None if write or not random else self.device.get("random_read_bandwidth")
        rate = whole / self.stripes
        if random and iops is not None:
            rate = min(rate, iops * size)
        if own is not None and iops is None:
            rate = min(rate, max(own, own * size / SMALL))
        return rate

    def _single(self, size: float, write: bool) -> float:
        """Seconds of one access alone: that of a small one plus what is left to transfer."""
        whole = (self.write_bandwidth if write else self.read_bandwidth) or inf
        latency = self.write_latency if write else self.latency
        return latency + max(0.0, size - SMALL) * self.stripes / whole if latency else size * self.stripes / whole

    def _curve(self, write: bool, random: bool) -> Curve | None:
        way = "write" if write else "read"
        curves = self.device.curves
        return curves.get(f"{'random' if random else 'sequential'}_{way}")

    # -- writing more than a cache takes ---------------------------------------------------------------------------

    def write_seconds(self, size: float) -> float:
        """Seconds to write ``size`` bytes to an idle drive whose cache is empty: first at burst speed, then sustained.

        The cache drains at the sustained rate while it fills, so it holds ``C / (1 - sustained/burst)`` bytes of
        such a stream.
        """
        sustained = self.write_bandwidth or 0.0
        burst, cache = self.write_cache
        if not sustained:
            return inf
        if burst <= sustained or not cache:
            return size / sustained
        quick = min(size, cache / (1 - sustained / burst))
        return quick / burst + (size - quick) / sustained

    @property
    def write_cache(self) -> tuple[float, float]:
        """Bytes/s at which the cache takes writes, and its bytes (zeros where nobody gave them)."""
        burst, cache = self.device.get("burst_write_bandwidth"), self.device.get("write_cache")
        return (burst or 0.0) * self.stripes, (cache or 0.0) * self.stripes

    # -- life ------------------------------------------------------------------------------------------------------

    @property
    def endurance(self) -> float | None:
        """Bytes that may be written over the drive's life: its own figure, else drive writes per day over 5 years."""
        own = self.device.get("endurance")
        if own is None:
            daily, capacity = self.device.get("endurance_dwpd"), self.device.get("capacity")
            if daily is None or capacity is None:
                return None
            own = daily * capacity * WARRANTY * 365
        return own * self.stripes

    def life_years(self, written: float, seconds: float) -> float | None:
        """Years until the endurance is used up when ``written`` bytes are written every ``seconds``."""
        if self.endurance is None or written <= 0 or seconds <= 0:
            return None if self.endurance is None else inf
        return self.endurance / (written / seconds) / YEAR
