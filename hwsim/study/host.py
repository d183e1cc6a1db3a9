"""A consumer machine from how a table writes it: "Pi CM5 - 16GB (Nvidia RTX 4090)", "M3 Max 40-Core GPU 64GB", "Pi 5".

What computes is the card in brackets, else the chip or card, else the processor; the host of a card is not modelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.study import naming

_VENDOR = re.compile(r"\b(nvidia|amd|intel|apple|geforce|radeon)\b", re.IGNORECASE)
_MEMORY = re.compile(r"\b(\d+x\s*)?\d+\s*[GT]B\b(\s*of\s*RAM)?", re.IGNORECASE)
_CORES = re.compile(r"\b\d+[- ](gpu )?cores?( gpu)?\b", re.IGNORECASE)
_CHIP = re.compile(r"\bM\d+( (Pro|Max|Ultra))?\b")


@dataclass(frozen=True, slots=True)
class Host:
    """What computes (its catalogue name), as the node it sits in; ``cpu`` if nothing but the processor does."""

    device: str
    node: Any
    cpu: bool = False
    memory: float = 0.0


def offloading(text: str) -> Host:
    """A machine with a GPU, its processors and the memory beside it: "2x Xeon Gold 6454S (…) + RTX 4090".

    ``memory`` is that of the GPU in bytes.  Sizes of DRAM are taken from the text, other figures of the node from the
    catalogue.
    """
    from hwsim.hardware.find import find_device

    parts = [part.strip() for part in re.split(r"\s\+\s|,", text)]
    cards = [(part, found) for part in parts if (found := _card(part)) is not None]
    if not cards:
        raise naming.Unknown(f"device {text}")
    gpu = cards[0][1]
    node: dict[str, Any] = {"like": naming.node(gpu, 1)}
    for part in parts:
        dram = re.fullmatch(r"(\d+ ?[GT]B) DRAM", part)
        if dram:
            node["dram"] = {"capacity": dram[1]}
        sockets = re.match(r"(?:(\d+)x )?(.*(?:Xeon|EPYC).*)", re.sub(r"\(.*", "", part))
        if sockets:
            processor = _processor(sockets[2].replace(" Gold", "").strip())
            if processor is None:
                raise naming.Unknown(f"processor {sockets[2]}")
            node |= _with_processor(gpu, processor.device, int(sockets[1] or 1))
    return Host(gpu, node if len(node) > 1 else node["like"], memory=float(find_device(gpu, "gpu").hbm_bytes or 0))


def _with_processor(gpu: str, processor: str, count: int) -> dict[str, Any]:
    """A catalogue node of this card and this processor, or a workstation made of them."""
    from hwsim.hardware.catalogue import files, load

    for path in files().values():
        entry = load(path)
        inside = [entry.get(role) for role in ("gpu", "cpu")]
        if entry.get("kind") == "node" and [part.get("like") for part in inside if isinstance(part, dict)] == [
            gpu,
            processor,
        ]:
            return {"like": str(entry["name"])}
    return {"like": "workstation", "gpu": {"like": gpu}, "cpu": {"like": processor, "count": count}}


def _card(part: str) -> str | None:
    for name in _candidates(part):
        try:
            return naming.gpu(name)
        except naming.Unknown:
            continue
    return None


def host(text: str, count: int = 1, *, card: bool = False) -> Host:
    """The machine of a table with ``count`` cards, of which at least one if ``card``; raises ``naming.Unknown``."""
    gpu = _card(text)
    if gpu is not None:
        return Host(gpu, naming.node(gpu, count))
    for name in () if card else _candidates(text):
        found = _processor(name)
        if found is not None:
            return found
    raise naming.Unknown(f"device {text}")


def _candidates(text: str) -> Iterator[str]:
    """The names that a description may contain, the most telling first."""
    plain = re.sub("[\N{NON-BREAKING HYPHEN}\N{HYPHEN}\N{EN DASH}]", "-", text)
    inside = re.findall(r"\(([^)]*)\)", plain)
    outside = re.sub(r"\([^)]*\)", " ", plain)
    for part in (*inside, *outside.split(" with ")[::-1]):
        part = re.sub(r"^cpu\b|\bddr\d-\d+\b", " ", _MEMORY.sub(" ", part), flags=re.IGNORECASE)
        part = " ".join(_CORES.sub(" ", part).replace(" - ", " ").split()).strip(" -")
        bare = " ".join(_VENDOR.sub(" ", part).split())
        yield from dict.fromkeys(name for name in (part, bare) if name)
        chip = _CHIP.search(part)
        if chip:
            yield f"Apple {chip[0]}"


@cache
def _processor(name: str) -> Host | None:
    """A board or a processor of the catalogue that computes by itself."""
    from hwsim.hardware.catalogue import product

    wanted = naming.alias("hosts", name)
    for candidate in (wanted, naming.plain(wanted)):
        try:
            entry = product(candidate)
        except ScenarioError:
            continue
        if entry["kind"] == "node" and "gpu" not in entry and "cpu" in entry:
            return Host(str(entry["name"]), str(entry["name"]), cpu=True)
        if entry["kind"] == "cpu":
            node = {"like": "workstation", "cpu": {"like": str(entry["name"])}}
            return Host(str(entry["name"]), node, cpu=True)
    return None
