"""Which calibrated device a device without coefficients borrows from: same design first, then the nearest in time."""

from __future__ import annotations

from typing import Protocol

# Year in which a design shipped: neighbours in time share kernels, tile sizes and memory systems more than others.
DESIGNS = {
    "volta": 2017.5,
    "turing": 2018.8,
    "ampere": 2020.4,
    "cdna": 2020.9,
    "cdna2": 2021.9,
    "hopper": 2022.2,
    "ada": 2022.8,
    "ada lovelace": 2022.8,
    "cdna3": 2023.9,
    "blackwell": 2024.9,
    "blackwell ultra": 2025.6,
    "cdna4": 2025.5,
    "rubin": 2026.7,
}
UNKNOWN_YEAR = 2022.2
GRAPHICS = 0.75  # a design for graphics boards is that much further from one for data centres, in years


class Accelerator(Protocol):
    """What the laws need to know of a device."""

    @property
    def name(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def sms(self) -> int: ...
    @property
    def hbm_bandwidth(self) -> float: ...
    @property
    def link_bandwidth(self) -> float: ...
    def get(self, name: str, default: float | None = None) -> float | None: ...
    def peak(self, dtype: str) -> float: ...


def distance(architecture: str, other: str) -> float:
    """How far two designs are apart, in years, zero only for the same one."""
    a, b = architecture.casefold(), other.casefold()
    if a == b and a:
        return 0.0
    years = abs(DESIGNS.get(a, UNKNOWN_YEAR) - DESIGNS.get(b, UNKNOWN_YEAR))
    return 0.01 + years + GRAPHICS * (a.startswith("ada") != b.startswith("ada"))
