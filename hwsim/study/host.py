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


def host(text: str, count: int = 1, *, card: bool = False) -> Host:
    """The machine of a table with ``count`` cards, of which at least one if ``card``; raises ``naming.Unknown``."""
    for name in _candidates(text):
        try:
            gpu = naming.gpu(name)
        except naming.Unknown:
            continue
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
