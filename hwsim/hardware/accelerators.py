"""What computes in a node: GPUs with their memory and links, and the peaks of everything that multiplies.

Simplification: all GPUs of a node are equal, and so are the links of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwsim.hardware.hop import Hop, Takes

if TYPE_CHECKING:
    from hwsim.hardware.device import Device
    from hwsim.hardware.wiring import Wiring


def wire_gpus(w: Wiring) -> None:
    """GPUs with their memory, the way to their host, and the links among them."""
    node = w.node
    gpu = node.devices.get("gpu")
    if gpu is None:
        return
    for index in range(gpu.count):
        here, above = f"gpu{index}", w.above("gpu", index)
        w.rates[f"{here}.hbm"] = gpu.hbm_bandwidth
        w.reads[here] = w.writes[here] = ((f"{here}.hbm", 1.0),)
        _gpu_link(w, gpu, here, above)
        if node.bridge == "nvswitch" and gpu.link_bandwidth:
            _nvlink(w, gpu, here)
            out, back = _nvlink_hops(gpu, here, gpu.link_bandwidth)
            w.link(here, "nvswitch", out, back)
        elif node.bridge in ("nvlink", "mesh") and gpu.link_bandwidth:
            _nvlink(w, gpu, here)
            _peers(w, gpu, index)
    if gpu.count == 1:
        w.spread["gpu"] = ("gpu0",)
    if not node.dram_bandwidth and gpu.get("pcie.bandwidth") is None:
        # one memory for processor and GPU: what is at the host is at the GPU
        w.link(w.socket(0), "gpu0", Hop(()), Hop(()))
        w.spread["dram"] = w.spread["dram0"] = ("gpu0",)


def _gpu_link(w: Wiring, gpu: Device, here: str, above: str) -> None:
    """A GPU's way to its host: a capacity per direction and, if less than their sum, one for both."""
    plain = gpu.get("pcie.bandwidth")
    both = gpu.get("pcie.both_bandwidth")
    if both:
        w.rates[f"{here}.pcie"] = both
    hops: list[Hop] = []
    for way in ("h2d", "d2h"):
        rate = gpu.get(f"pcie.{way}_bandwidth", plain)
        if rate is None:
            return  # nobody said how it is connected: there is no way, and a route says so
        name = f"{here}.pcie.{way}"
        w.rates[name] = rate
        takes: Takes = ((name, 1.0), *(((f"{here}.pcie", 1.0),) if both else ()))
        root = w.io(above)
        hops.append(
            Hop(
                (*takes, *root),
                rate,
                gpu.get("pcie.latency", 0.0) or 0.0,
                gpu.get("pcie.message_overhead", 0.0) or 0.0,
                gpu.curves.get(f"pcie.{way}_by_size"),
            )
        )
    w.link(above, here, *hops)


def _nvlink(w: Wiring, gpu: Device, here: str) -> None:
    w.rates |= {f"{here}.nvlink": gpu.link_bandwidth, f"{here}.nvlink.in": gpu.link_bandwidth}


def _nvlink_hops(gpu: Device, here: str, rate: float) -> tuple[Hop, Hop]:
    figures = (
        min(rate, gpu.get("nvlink.copy_bandwidth") or rate),
        gpu.get("nvlink.latency", 0.0) or 0.0,
        gpu.get("nvlink.message_overhead", 0.0) or 0.0,
        gpu.curves.get("nvlink.by_size"),
    )
    return Hop(((f"{here}.nvlink", 1.0),), *figures), Hop(((f"{here}.nvlink.in", 1.0),), *figures)


def _peers(w: Wiring, gpu: Device, index: int) -> None:
    """Links to other GPUs without a switch: to the other of a pair, or to each of a full mesh."""
    mesh = w.node.bridge == "mesh"
    rate = (gpu.get("nvlink.peer_bandwidth") if mesh else None) or gpu.link_bandwidth
    others = range(gpu.count) if mesh else [index ^ 1]
    for other in others:
        if other == index or other >= gpu.count:
            continue
        out, _ = _nvlink_hops(gpu, f"gpu{index}", rate)
        takes: Takes = ((f"gpu{index}.nvlink", 1.0), (f"gpu{other}.nvlink.in", 1.0))
        if mesh and rate < gpu.link_bandwidth:
            w.rates[f"gpu{index}.to.gpu{other}"] = rate
            takes = (*takes, (f"gpu{index}.to.gpu{other}", 1.0))
        w.links.append((f"gpu{index}", f"gpu{other}", out._replace(takes=takes)))


def peaks(w: Wiring, dtype: str) -> Iterator[tuple[str, float]]:
    """Peaks in FLOP/s of everything that computes, by capacity name, in the format nearest to ``dtype``."""
    for role, word in (("gpu", "tensor"), ("cpu", "compute"), ("npu", "compute"), ("fpga", "compute")):
        device = w.node.devices.get(role)
        if device is None:
            continue
        peak = device.peak(dtype) if role == "gpu" else _peak(device, dtype)
        for index in range(device.count if peak else 0):
            here = w.socket(index) if role == "cpu" else w.name(role, index)
            yield f"{here}.{word}", float(peak or 0.0)


def _peak(device: Device, dtype: str) -> float | None:
    """What a processor computes ``dtype`` in: the format itself, else the first that it has of a list."""
    order = (dtype, "bf16", "fp16", "fp32", "int8", "int4")
    return next((found for name in order if (found := device.get(f"peak.{name}"))), None)
