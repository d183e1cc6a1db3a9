"""Energy of the GPUs: idle power all the time, plus energy per FLOP and byte, at most board power while in use.

Everything owned counts: GPUs that nobody uses draw their idle power.  Hosts, switches and links are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PICO = 1e-12


def total_of(amounts: Mapping[str, float], kind: str) -> float:
    """The sum over all capacities of one kind, such as ``tensor`` of ``gpu0.tensor`` and ``gpu1.tensor``."""
    return sum(float(amounts[name]) for name in sorted(amounts) if name.rpartition(".")[2] == kind)


def energy_joules(facts: Mapping[str, Any]) -> float | None:
    """``idle x owned x time + pJ/FLOP x FLOP + pJ/byte x HBM bytes``, GPUs in use capped at ``tdp x time``.

    ``None`` when idle power or the energy per FLOP or byte is not known.  Without a board power there is no cap.
    """
    given = facts.get("energy") or {}
    per_flop, per_byte, idle = given.get("pj_per_flop"), given.get("pj_per_byte"), given.get("idle_w")
    if per_flop is None or per_byte is None or idle is None or not facts.get("amounts"):
        return None
    seconds, owned = float(facts["simulated_seconds"]), int(facts["gpus_owned"])
    used = min(int(facts["gpus_used"]), owned)
    amounts = facts["amounts"]
    work = (float(per_flop) * total_of(amounts, "tensor") + float(per_byte) * total_of(amounts, "hbm")) * PICO
    drawn = float(idle) * used * seconds + work
    if given.get("tdp_w") is not None:
        drawn = min(drawn, float(given["tdp_w"]) * used * seconds)
    return float(idle) * (owned - used) * seconds + drawn


def utilisation(facts: Mapping[str, Any], kind: str) -> float | None:
    """Achieved amount per second over the peak rate of all capacities of one kind; ``None`` when one is unknown."""
    amounts, capacities = facts.get("amounts") or {}, facts.get("capacities") or {}
    seconds, peak = float(facts["simulated_seconds"]), total_of(capacities, kind)
    if not amounts or peak <= 0 or seconds <= 0:
        return None
    return total_of(amounts, kind) / (peak * seconds)
