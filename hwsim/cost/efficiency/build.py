"""From a section of coefficients and a device to a law: shares of the device's peaks, seconds, plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hwsim.cost.collective import CollectiveLaw, Stretch
from hwsim.cost.decode import DecodeKernel, DecodeLaw
from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.gemm import GemmKernel, GemmLaw
from hwsim.cost.gguf import GgufGemmLaw, GgufKernel, GgufMoeLaw
from hwsim.cost.launch import LaunchLaw
from hwsim.cost.mla import MlaDecodeKernel, MlaLaw, MlaPrefillKernel
from hwsim.cost.moe import MoeKernel, MoeLaw
from hwsim.cost.prefill import PrefillKernel, PrefillLaw
from hwsim.cost.scan import ScanLaw
from hwsim.cost.stream import StreamLaw
from hwsim.units import parse

Section = Mapping[str, Any]
Kernel = TypeVar("Kernel")

L2_UNKNOWN = 40e6  # bytes taken for a device whose cache nobody gave
GRAPH_LAUNCH = 1.3e-6  # what laws of products leave out: the launch of a kernel in a graph
LANES = 128  # 32-bit multiply-adds per clock and core where nobody gave a clock: designs since 2020 but GA100
GGUF = "gguf"  # the part of a section that holds llama.cpp's kernels


def kernel(kind: type[Kernel], part: Section, device: Accelerator) -> Kernel:
    """A law of ``kind`` with the coefficients of ``part``, applied to the device."""
    own = {
        "sms": device.sms,
        "bandwidth": device.hbm_bandwidth,
        "l2": device.get("l2.capacity", L2_UNKNOWN),
        "launch": GRAPH_LAUNCH,
        "clock": _clock(device),
        "wide": max(device.get("peak.fp16") or 0.0, (device.get("peak.int8") or 0.0) / 2) or device.peak("bf16"),
    }
    given: dict[str, Any] = {}
    for each in fields(kind):  # pyright: ignore[reportArgumentType]
        unit = each.metadata.get("unit")
        if unit is None:
            given[each.name] = own[each.name]
        elif each.name in part["coefficients"]:
            value = part["coefficients"][each.name]
            given[each.name] = _count(value) if unit == "count" else float(parse(value, unit))
        elif each.metadata["optional"]:
            given[each.name] = each.metadata["start"]
        else:
            raise KeyError(each.name)
    if "compute" in given and "lent_share" in part:
        given["compute"] *= part["lent_share"]
    return kind(**given)


def kernels(kind: type[Kernel], section: Section, device: Accelerator) -> dict[str, Kernel]:
    """Laws by number format."""
    return {name: kernel(kind, part, device) for name, part in section.items()}


def _clock(device: Accelerator) -> float:
    """Clocks per second, as given or such that 32-bit lanes reach their peak."""
    return device.get("clock") or (device.get("peak.fp32") or device.peak("bf16")) / (2 * LANES * max(device.sms, 1))


def _count(value: object) -> float:
    """A plain number; a factor may be written in percent."""
    text = str(value).strip()
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def _seconds(text: object) -> float:
    return float(parse(text, "s"))


def _share(text: object) -> float:
    return float(parse(text, "share"))


def _launch(section: Section, device: Accelerator) -> LaunchLaw:
    return LaunchLaw(*(_seconds(section[key]) for key in ("graph", "eager", "host")))


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


def link(device: Accelerator) -> float:
    """Bytes/s per direction between devices of a node: their own link, else PCIe."""
    return device.link_bandwidth or device.get("pcie.bandwidth", 0.0) or 0.0


def curves(part: Section, device: Accelerator) -> dict[int, tuple[Stretch, ...]]:
    """Stretches by group size; bandwidths scale with the device's own link."""
    scale = link(device) / parse(part["link"], "bytes/s")
    return {
        ranks: tuple(
            Stretch(
                float(parse(row["most"], "bytes")) if "most" in row else float("inf"),
                _seconds(row["alpha"]),
                parse(row["bandwidth"], "bytes/s") * scale,
            )
            for row in rows
        )
        for ranks, rows in part["coefficients"].items()
    }


def _collective(section: Section, device: Accelerator) -> CollectiveLaw:
    if not link(device):
        return CollectiveLaw({})
    found = {name: curves(part, device) for name, part in section.items()}
    borrowed = section.get("all_reduce", {}).get("status") == "BORROWED"
    return CollectiveLaw(found, borrowed)


def _products(section: Section, device: Accelerator) -> GemmLaw | GgufGemmLaw:
    if GGUF in section:
        return GgufGemmLaw(kernel(GgufKernel, section[GGUF], device))
    return GemmLaw(kernels(GemmKernel, section, device))


def _experts(section: Section, device: Accelerator) -> MoeLaw | GgufMoeLaw:
    if GGUF in section:
        return GgufMoeLaw(kernel(GgufKernel, section[GGUF], device))
    return MoeLaw(kernels(MoeKernel, section, device))


# Section of the file: the law's name in an Efficiency, what builds it, and whether it has parts by format.
BUILDERS: dict[str, tuple[str, Callable[[Section, Accelerator], Any]]] = {
    "launch": ("launch", _launch),
    "stream": ("stream", _stream),
    "scan": ("scan", _scan),
    "gemm": ("gemm", _products),
    "attention_decode": ("decode", lambda section, device: DecodeLaw(kernels(DecodeKernel, section, device))),
    "attention_prefill": ("prefill", lambda section, device: PrefillLaw(kernels(PrefillKernel, section, device))),
    "mla": (
        "mla",
        lambda section, device: MlaLaw(
            {k.removeprefix("decode_"): kernel(MlaDecodeKernel, v, device) for k, v in section.items() if "dec" in k},
            {k.removeprefix("prefill_"): kernel(MlaPrefillKernel, v, device) for k, v in section.items() if "pre" in k},
        ),
    ),
    "moe": ("moe", _experts),
    "collective": ("collective", _collective),
}
PLAIN = ("launch", "stream", "scan")  # sections without parts
