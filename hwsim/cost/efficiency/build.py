"""From a section of coefficients and a device to a law: shares of the device's peaks, seconds, plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.cost.collective import Algorithm, CollectiveLaw
from hwsim.cost.decode import DecodeLaw
from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.gemm import GemmLaw
from hwsim.cost.launch import LaunchLaw
from hwsim.cost.mla import MlaLaw
from hwsim.cost.moe import MoeLaw
from hwsim.cost.prefill import PrefillLaw
from hwsim.cost.scan import ScanLaw
from hwsim.cost.stream import StreamLaw
from hwsim.units import parse

Section = Mapping[str, Any]


def _seconds(text: object) -> float:
    return float(parse(text, "s"))


def _share(text: object) -> float:
    return float(parse(text, "share"))


def _launch(section: Section, device: Accelerator) -> LaunchLaw:
    return LaunchLaw(*(_seconds(section[key]) for key in ("graph", "eager", "host")))


def _gemm(section: Section, device: Accelerator) -> GemmLaw:
    return GemmLaw(
        sms=device.sms,
        bandwidth=device.hbm_bandwidth,
        memory_efficiency=_share(section["memory"]),
        ramp=_seconds(section["ramp"]),
        tile_half=float(section["tile_half"]),
        depth=float(section["depth"]),
        exponent=float(section["exponent"]),
        compute={dtype: _share(share) for dtype, share in section["compute"].items()},
    )


def _decode(section: Section, device: Accelerator) -> DecodeLaw:
    return DecodeLaw(
        bandwidth=device.hbm_bandwidth,
        efficiency=_share(section["memory"]),
        half=float(section["half"]),
        floor=_seconds(section["floor"]),
        base=_seconds(section["base"]),
        per_item=_seconds(section["per_item"]),
    )


def _prefill(section: Section, device: Accelerator) -> PrefillLaw:
    return PrefillLaw(
        bandwidth=device.hbm_bandwidth,
        efficiency=_share(section["compute"]),
        memory_efficiency=_share(section["memory"]),
        extra=float(section["extra"]),
        floor=_seconds(section["floor"]),
        exponent=float(section["exponent"]),
    )


def _mla(section: Section, device: Accelerator) -> MlaLaw:
    return MlaLaw(
        bandwidth=device.hbm_bandwidth,
        decode_memory=_share(section["decode_memory"]),
        decode_compute=_share(section["decode_compute"]),
        decode_floor=_seconds(section["decode_floor"]),
        per_row=_seconds(section["per_row"]),
        prefill_compute=_share(section["prefill_compute"]),
        prefill_memory=_share(section["prefill_memory"]),
        prefill_floor=_seconds(section["prefill_floor"]),
        extra=float(section["extra"]),
        exponent=float(section["exponent"]),
    )


def _moe(section: Section, device: Accelerator) -> MoeLaw:
    return MoeLaw(
        bandwidth=device.hbm_bandwidth,
        compute_efficiency=_share(section["compute"]),
        memory_efficiency=_share(section["memory"]),
        block=float(section["block"]),
        fixed=_seconds(section["fixed"]),
        exponent=float(section["exponent"]),
    )


def _scan(section: Section, device: Accelerator) -> ScanLaw:
    return ScanLaw(
        bandwidth=device.hbm_bandwidth,
        compute_efficiency=_share(section["compute"]),
        memory_efficiency=_share(section["memory"]),
        fixed=_seconds(section["fixed"]),
        exponent=float(section["exponent"]),
    )


def _stream(section: Section, device: Accelerator) -> StreamLaw:
    return StreamLaw(device.hbm_bandwidth, _share(section["memory"]), _seconds(section["ramp"]))


def _collective(section: Section, device: Accelerator) -> CollectiveLaw:
    """Algorithms by group size; bandwidths scale with the device's own link."""
    scale = device.link_bandwidth / parse(section["link"], "bytes/s")
    custom = float(parse(section["most_custom"], "bytes"))
    found: dict[int, tuple[Algorithm, ...]] = {}
    if not device.link_bandwidth:
        return CollectiveLaw(found)
    for ranks in (key for key in section if isinstance(key, int)):
        ring = 2 * (ranks - 1) / ranks
        factors = {"one_shot": (ranks - 1, custom), "two_shot": (ring, custom), "ring": (ring, float("inf"))}
        found[ranks] = tuple(
            Algorithm(_seconds(row["alpha"]), parse(row["bandwidth"], "bytes/s") * scale, *factors[kind])
            for kind, rows in section[ranks].items()
            for row in rows
        )
    return CollectiveLaw(found)


# Section of the file: the law's name in an Efficiency, and what builds it.
BUILDERS: dict[str, tuple[str, Callable[[Section, Accelerator], Any]]] = {
    "launch": ("launch", _launch),
    "gemm": ("gemm", _gemm),
    "attention_decode": ("decode", _decode),
    "attention_prefill": ("prefill", _prefill),
    "mla": ("mla", _mla),
    "moe": ("moe", _moe),
    "scan": ("scan", _scan),
    "stream": ("stream", _stream),
    "all_reduce": ("collective", _collective),
}
