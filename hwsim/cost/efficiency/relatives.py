"""Which calibrated device a device without coefficients borrows from: same design first, then the nearest in time."""

from __future__ import annotations

from typing import Protocol

# Year in which a design shipped, and how its tensor cores are programmed: neighbours in time share kernels, tile
# sizes and memory systems more than others, designs programmed alike run the very same kernels.
DESIGNS = {
    "volta": (2017.5, "warp"),
    "turing": (2018.8, "warp"),
    "ampere": (2020.4, "warp"),
    "hopper": (2022.2, "warp group"),
    "ada": (2022.8, "warp"),
    "blackwell": (2024.9, "tensor memory"),
    "blackwell ultra": (2025.6, "tensor memory"),
    "blackwell-rtx": (2025.1, "warp"),
    "rubin": (2026.7, "tensor memory"),
    "cdna": (2020.9, "matrix core"),
    "cdna2": (2021.9, "matrix core"),
    "cdna3": (2023.9, "matrix core"),
    "cdna4": (2025.5, "matrix core"),
}
UNKNOWN = (2022.2, "")
# Share of the tensor peak that instructions of single warps reach on designs that want whole warp groups or tensor
# memory: Hopper 62 % (published microbenchmarks of its mma instructions, from memory); data-centre Blackwell at
# Ampere's 2,048 FLOP per clock and SM (its own Marlin rows reach 43 % of that, as they do on A100 and L40S).
WARP_SHARE = {"hopper": 0.62, "blackwell": 0.26, "blackwell ultra": 0.26, "rubin": 0.26}
GRAPHICS = ("ada", "turing", "blackwell-rtx")  # designs for graphics boards: slower memory, large caches, no NVLink
GRAPHICS_YEARS = 0.3  # how much further such a design is from one for data centres
PROGRAMMING_YEARS = 3.0  # and designs on which kernels of the other cannot even run
SOFTWARE_YEARS = 0.5  # and rows of another software stack


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


def lent_share(architecture: str, owner: str) -> float:
    """Share of the peak left to kernels of another design: those of single warps keep to their instructions."""
    a, b = architecture.casefold(), owner.casefold()
    if DESIGNS.get(b, UNKNOWN)[1] == "warp" and DESIGNS.get(a, UNKNOWN)[1] != "warp":
        return WARP_SHARE.get(a, 1.0)
    return 1.0


def distance(architecture: str, other: str) -> float:
    """How far two designs are apart, in years, zero only for the same one."""
    a, b = architecture.casefold().replace(" lovelace", ""), other.casefold()
    if a == b and a:
        return 0.0
    (year, programmed), (other_year, other_programmed) = DESIGNS.get(a, UNKNOWN), DESIGNS.get(b, UNKNOWN)
    far = 0.01 + abs(year - other_year)
    far += GRAPHICS_YEARS * ((a in GRAPHICS) != (b in GRAPHICS))
    return far + PROGRAMMING_YEARS * (programmed != other_programmed)
