"""What a GPU draws: idle, with a server loaded, per FLOP and byte of serving, and at most.

Main simplification: board power is affine in FLOP and bytes per second above a floor that holds as long as a server is
loaded, ``P = standby + pj_per_byte * bytes + pj_per_flop * FLOP``, up to the board's limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.hardware.device import Device

PICO = 1e12
# Two numbers fitted together on H100 and B200 boards under vLLM (ML.ENERGY leaderboard, the third of its groups whose
# CRC-32 is a multiple of 3; on the others power is off by 11 % in the median, by 3 % on average).  Clocks stay up while
# a server is loaded: it draws this share of the way from idle to the limit before it moves a byte.
STANDBY_SHARE = 0.21
# Energy per useful FLOP over that of a large matrix product: small batches and attention fill tiles in part.
TILE_LOSS = 1.9


def draw(gpu: Device | None) -> dict[str, float | None]:
    """Watts idle, in standby and at most; picojoules per FLOP and byte.  ``None`` where the catalogue has nothing."""
    if gpu is None:
        return {"idle_w": 0.0, "standby_w": 0.0, "tdp_w": None, "pj_per_flop": None, "pj_per_byte": None}
    idle, most, flop, byte = (gpu.get(name) for name in ("idle_power", "tdp", "pj_per_flop", "pj_per_byte"))
    return {
        "idle_w": idle,
        "standby_w": idle if idle is None or most is None else idle + STANDBY_SHARE * (most - idle),
        "tdp_w": most,
        "pj_per_flop": None if flop is None else flop * PICO * TILE_LOSS,
        "pj_per_byte": None if byte is None else byte * PICO,
    }
