"""What the system of a run owns and what of it is used: powers and prices for energy and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario


def ownership(scenario: Scenario, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the whole system: ``owned`` (see ``hwsim.hardware.owned``) and ``amounts_by_group``.

    ``facts`` are those of the run; pools say which group of nodes they are on, a single one is on the first.
    """
    spec = scenario.tree.get("system")
    if spec is None or not facts.get("gpu"):
        return {}
    from hwsim.hardware import System
    from hwsim.hardware.owned import owned

    system = System.of(spec)
    pools = list((facts.get("pools") or {}).values())
    used: dict[str, int] = {}
    amounts: dict[str, dict[str, float]] = {}
    for pool in pools or [facts]:
        group = str(pool.get("group") or _first(scenario, system))
        used[group] = used.get(group, 0) + int(pool["gpus_used"])
        mine = amounts.setdefault(group, {})
        for name, amount in (pool.get("amounts") or {}).items():
            mine[name] = mine.get(name, 0.0) + float(amount)
    return {"owned": owned(system, used), "amounts_by_group": amounts}


def _first(scenario: Scenario, system: Any) -> str:
    """The group that ``serve.at`` names, else the first."""
    serve = scenario.spec.serve
    named = str(getattr(serve, "at", None) or "").split("/")[0].split("[")[0]
    return named if named in system.groups else next(iter(system.groups))
