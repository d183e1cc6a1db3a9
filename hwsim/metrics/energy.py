"""Energy of a run: idle or standby power of everything owned all the time, plus the work of the GPUs, up to a cap.

``energy_joules`` counts whatever is powered: whole nodes with their idle GPUs, hosts and switches.  Beside it stands
the share of what was used: GPUs in use, and of hosts and switches their part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PICO = 1e-12
UNLIMITED = 1e28  # a peak above this was given infinite speed: there is nothing to utilise


def total_of(amounts: Mapping[str, float], kind: str) -> float:
    """The sum over all capacities of one kind, such as ``tensor`` of ``gpu0.tensor`` and ``gpu1.tensor``."""
    return sum(float(amounts[name]) for name in sorted(amounts) if name.rpartition(".")[2] == kind)


def energy(facts: Mapping[str, Any]) -> dict[str, float | None]:
    """Joules of all that is owned, of what is used, and of the boards in use; ``None`` where a figure lacks.

    GPUs in use draw ``standby x time + pJ/FLOP x FLOP + pJ/byte x HBM bytes``, at most ``tdp x time``; the others idle
    power.  Without a board power there is no cap.
    """
    nothing: dict[str, float | None] = dict.fromkeys(("energy_joules", "energy_used_joules", "energy_gpu_joules"))
    held, seconds = facts.get("owned") or _only_gpus(facts), float(facts["simulated_seconds"])
    if held is None:
        return nothing
    drawn = idle = host = shared = 0.0
    gpus = sum(group["gpus"] for group in held["groups"].values())
    used = sum(group["used"] for group in held["groups"].values())
    for name, group in held["groups"].items():
        if group["gpus"] and group["idle_w"] is None:
            return nothing
        if group["used"]:
            work = _work(facts, name, group, len([g for g in held["groups"].values() if g["used"]]))
            if work is None:
                return nothing
            watched = float(group.get("standby_w") or group["idle_w"]) * group["used"] * seconds + work
            if group["tdp_w"] is not None:
                watched = min(watched, float(group["tdp_w"]) * group["used"] * seconds)
            drawn += watched
        idle += float(group["idle_w"] or 0.0) * (group["gpus"] - group["used"]) * seconds
        host += float(group["host_w"]) * seconds
        if group["gpus"]:
            shared += float(group["host_w"]) * seconds * group["used"] / group["gpus"]
    network = float(held["network_w"]) * seconds
    pue = float(held["pue"])
    part = used / gpus if gpus else 0.0
    return {
        "energy_joules": (drawn + idle + host + network) * pue,
        "energy_used_joules": (drawn + shared + network * part) * pue,
        "energy_gpu_joules": drawn,
    }


def _work(facts: Mapping[str, Any], name: str, group: Mapping[str, Any], groups: int) -> float | None:
    """Joules of a group's FLOP and bytes: its own amounts, or all amounts when it is the only one at work."""
    per_flop, per_byte = group["pj_per_flop"], group["pj_per_byte"]
    amounts = (facts.get("amounts_by_group") or {}).get(name)
    if amounts is None:
        amounts = facts.get("amounts") if groups == 1 else None
    if per_flop is None or per_byte is None or not amounts:
        return None
    return (float(per_flop) * total_of(amounts, "tensor") + float(per_byte) * total_of(amounts, "hbm")) * PICO


def _only_gpus(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is owned, from the figures of the GPUs alone: hosts and switches are left out."""
    given = facts.get("energy")
    if not given:
        return None
    gpus = int(facts["gpus_owned"])
    group = {
        "gpus": gpus,
        "used": min(int(facts["gpus_used"]), gpus),
        "host_w": 0.0,
        **{key: given.get(key) for key in ("idle_w", "standby_w", "tdp_w", "pj_per_flop", "pj_per_byte")},
    }
    return {"groups": {"nodes": group}, "network_w": 0.0, "pue": 1.0}


def utilisation(facts: Mapping[str, Any], kind: str) -> float | None:
    """Achieved amount per second over the peak rate of all capacities of one kind; ``None`` when one is unknown."""
    amounts, capacities = facts.get("amounts") or {}, facts.get("capacities") or {}
    seconds, peak = float(facts["simulated_seconds"]), total_of(capacities, kind)
    if not amounts or not 0 < peak < UNLIMITED or seconds <= 0:
        return None
    return total_of(amounts, kind) / (peak * seconds)
