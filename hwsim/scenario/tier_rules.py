"""``place: {kv: {tiers: …}}`` as written: what is wrong with it, and how large each tier is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from hwsim.errors import FitError, Problem, ScenarioError, nearest
from hwsim.part import Parts
from hwsim.units import format_quantity, parse

if TYPE_CHECKING:
    from hwsim.scenario.job import Job
    from hwsim.scenario.machine import Machine
    from hwsim.scenario.schema.place import PlaceRule
    from hwsim.scenario.schema.serve import Engine

EVICTIONS = Parts("hwsim.serving.policies.evict")
MISSES = Parts("hwsim.serving.policies.miss")
WRITES = ("through", "back")
FETCHES = ("on_demand", "while_queued", "layerwise")
MEMORIES = ("dram", "cxl")
DRIVES = ("ssd", "flash")


class Level(NamedTuple):
    """One tier as a scenario describes it."""

    name: str  # as written
    role: str  # the device
    group: str | None  # of a remote pool
    limit_bytes: float


def kv_rule(fields: Engine) -> PlaceRule | None:
    """The rule of a pool whose KV moves between tiers, or None."""
    rule = fields.place.kv if fields.place is not None else None
    return rule if rule is not None and rule.tiers is not None else None


def problems(job: Job, pool: str, fields: Engine) -> list[Problem]:
    """What is not built of a pool's ``place``, and what is wrong with the rule for its KV."""
    place = fields.place
    if place is None:
        return []
    found = []
    if any(name not in ("kv", "adapters") and getattr(place, name) is not None for name in type(place).model_fields):
        return [Problem("not built yet: tiered placement", where=job.where(job.pool_path(pool, "place")))]
    rule = place.kv
    if rule is None or rule.at == "gpu":
        return []
    where = job.where(job.pool_path(pool, "place.kv"))
    if rule.tiers is None:
        return [Problem("not built yet: KV outside the GPU that does not move", where=where)]
    if rule.tiers[0] != "gpu":
        found.append(Problem("the first tier of kv is not the GPU", where, rule.tiers[0], "tiers: [gpu, …]"))
    for level in rule.tiers[1:]:
        if _role(level) not in (*MEMORIES, *DRIVES):
            expected = ", ".join((*MEMORIES, *DRIVES, "group/dram"))
            found.append(Problem("no place for KV", where, level, expected, nearest(level, [*MEMORIES, *DRIVES])))
    for key, value, known in (
        ("evict", rule.evict, EVICTIONS.names()),
        ("miss", rule.miss, MISSES.names()),
        ("write", rule.write, WRITES),
        ("fetch", rule.fetch, FETCHES),
        ("route", rule.route, ("gpudirect", "host")),
    ):
        if value is not None and value not in known:
            found.append(Problem(f"unknown {key}", where, value, "one of " + ", ".join(known), nearest(value, known)))
    if fields.enable_prefix_caching is False:
        found.append(Problem("KV tiers without prefix caching", where, expected="enable_prefix_caching: true"))
    if job.serve.handover is not None and job.serve.handover.kind == "in_place":
        found.append(Problem("not built yet: KV tiers where prefill and decode share GPUs", where=where))
    elif fields.role == "decode" and job.serve.handover is not None and job.serve.handover.kind == "p2p_nccl":
        text = "KV tiers of a pool that decode is pushed whole prompts to, whatever it holds"
        found.append(Problem(text, where=where, expected="another hand-over than p2p_nccl"))
    return found


def _role(level: str) -> str:
    return level.rpartition("/")[2]


def levels(machine: Machine) -> list[Level]:
    """The tiers below the GPU that can hold anything, with their limits; ``FitError`` for more than there is."""
    rule = kv_rule(machine.fields)
    if rule is None:
        return []
    where = machine.job.where(machine.job.pool_path(machine.pool, "place.kv"))
    if machine.system is None or machine.model is None:
        raise ScenarioError.of("KV tiers need a model and a system", where=where, expected="system: …, model: …")
    if not machine.settings["enable_prefix_caching"]:
        text = f"KV tiers without prefix caching, which {machine.profile.name} does not do by itself"
        raise ScenarioError.of(text, where=where, expected="enable_prefix_caching: true")
    found = []
    for name in (rule.tiers or [])[1:]:
        group, slash, role = name.rpartition("/")
        if slash and group not in machine.system.groups:
            known = list(machine.system.groups)
            raise ScenarioError.of("unknown group", where=where, got=name, expected=", ".join(known))
        members = machine.system.groups[group] if slash else machine.system.groups[machine.group]
        device = members.node.device(role)
        each = device.get("capacity")
        if each is None:
            raise ScenarioError.of(
                f"{role} of {members.node.name} has no capacity", where=where, expected="capacity: …"
            )
        whole = each * device.count * (members.nodes if slash else 1)
        limit = (rule.limit or {}).get(name)
        if limit is None:
            limit = whole * (figures()["dram_share"] if role == "dram" else 1.0)
        if limit > whole:
            raise FitError.of(
                f"the limit of {name} is more than there is",
                where=where,
                got=format_quantity(limit, "bytes"),
                expected=f"at most {format_quantity(whole, 'bytes')}",
            )
        found.append(Level(name, role, group if slash else None, float(limit)))
    return [level for level in found if level.limit_bytes > 0]


@cache
def figures() -> dict[str, float]:
    """What holds where a scenario says nothing."""
    import hwsim.serving.kv

    path = Path(hwsim.serving.kv.__file__).parent / "tiers.yaml"
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    units = {"dram_share": "share", "staging_share": "share", "least_prefetch": "tokens"}
    return {name: float(parse(read[name]["value"], unit)) for name, unit in units.items()}
