"""The ways of KV pages between GPUs and tiers over the links of a system, every rank at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.hardware.fabric import Fabric
from hwsim.serving.handover import Ways

HOST = "dram"
DRIVES = ("ssd", "flash")


@dataclass(frozen=True)
class Site:
    """Where a tier is: its place on each node that it is spread over, and whether it is a drive."""

    places: tuple[str, ...]
    drive: bool


class TierWays:
    """Ways of pages; ``rank_bytes`` is what one rank's GPU holds of a page, one contiguous piece.

    A tier spread over several nodes gives and takes equal shares of everything.  Drives are read and written in
    pieces of a page of a rank, as deep a queue as they take; bytes between a drive and a GPU pass through host memory
    unless ``gpudirect``.
    """

    def __init__(self, fabric: Fabric, rank_bytes: float, *, gpudirect: bool = False) -> None:
        self.fabric = fabric
        self.rank_bytes = rank_bytes
        self.gpudirect = gpudirect

    def up(self, site: Site, gpus: Sequence[str]) -> Ways:
        """From a tier to the GPUs of an engine."""
        way = Ways()
        for gpu in gpus:
            for place in site.places:
                self._add(way, place, gpu, self.rank_bytes / len(site.places), site.drive, _host(place))
        return way

    def down(self, site: Site, gpus: Sequence[str]) -> Ways:
        """From the GPUs of an engine to a tier."""
        way = Ways()
        for gpu in gpus:
            for place in site.places:
                self._add(way, gpu, place, self.rank_bytes / len(site.places), site.drive, _host(place))
        return way

    def between(self, source: Site, target: Site, ranks: int) -> Ways:
        """From a tier to another, the pages of all ranks."""
        way = Ways()
        share = self.rank_bytes * ranks / (len(source.places) * len(target.places))
        for start in source.places:
            for end in target.places:
                self._add(way, start, end, share, source.drive or target.drive, None)
        return way

    def _add(self, way: Ways, start: str, end: str, size: float, drive: bool, host: str | None) -> None:
        via = host if drive and not self.gpudirect else None
        io = self.rank_bytes if drive else None
        transfer = self.fabric.transfer(start, end, size, io_size=io, via=via)
        capacities = [capacity for capacity, _ in transfer.phase.amounts]
        per_byte = [amount / size for _, amount in transfer.phase.amounts]
        seconds = transfer.phase.alone / 1e12
        way.add(capacities, per_byte, size, size / seconds if seconds else float("inf"))
        way.latency = max(way.latency, transfer.fixed_ticks / 1e12)


def _host(place: str) -> str:
    """Main memory of the node that a place belongs to."""
    before, slash, _ = place.rpartition("/")
    return f"{before}{slash}{HOST}"
