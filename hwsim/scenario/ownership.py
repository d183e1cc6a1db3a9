"""What the system of a run owns and what of it is used, for energy and cost; and resources given infinite speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.scenario.machine import Machine


def owned_facts(machines: Iterable[Machine]) -> dict[str, Any] | None:
    """Powers and prices of the whole system, with the GPUs that pools run on; None without a system."""
    from hwsim.hardware.owned import owned

    system, used = None, {}
    for machine in machines:
        if machine.system is not None:
            system = machine.system
            used[machine.group] = used.get(machine.group, 0) + machine.gpus_used
    return None if system is None else owned(system, used)


def amounts_by_group(pools: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Amounts of capacities taken by the pools of each group of nodes."""
    found: dict[str, dict[str, float]] = {}
    for pool in pools.values():
        if pool.get("group") is not None:
            mine = found.setdefault(pool["group"], {})
            for name, amount in (pool.get("amounts") or {}).items():
                mine[name] = mine.get(name, 0.0) + amount
    return found


def launches(machine: Machine) -> Efficiency:
    """The laws of a pool, with launches that take no time if the scenario says so (``system.ideal: [launch]``)."""
    efficiency = machine.efficiency
    assert efficiency is not None
    if machine.system is None or not machine.system.ideal.has("launch"):
        return efficiency
    return replace(efficiency, launch=replace(efficiency.launch, graph=0.0, eager=0.0, host=0.0))


def host_seconds(machine: Machine) -> dict[str, float]:
    """The engine's own seconds per step and request, none if the host is infinitely fast (``system.ideal: [host]``)."""
    ideal = machine.system is not None and machine.system.ideal.has("host")
    return {
        "host_base": 0.0 if ideal else machine.profile.host["base"],
        "host_per_row": 0.0 if ideal else machine.profile.host["per_row"],
    }
