"""``place: {kv: {tiers: …}}`` put together: sizes of the tiers, who shares them, and the lanes between them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from hwsim.errors import FitError, Problem, ScenarioError, nearest
from hwsim.part import Parts
from hwsim.units import format_quantity, parse

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.scenario.job import Job
    from hwsim.scenario.machine import Machine
    from hwsim.scenario.schema.place import PlaceRule
    from hwsim.scenario.schema.serve import Engine
    from hwsim.serving.engine import Engine as SimEngine
    from hwsim.serving.kv.tier import Tier
    from hwsim.serving.kv.tier_store import TierStore
    from hwsim.serving.kv.tier_traffic import Described, Traffic
    from hwsim.serving.kv.tier_ways import Site, TierWays
    from hwsim.serving.kv.watched_pool import WatchedPool

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
    if any(name != "kv" and getattr(place, name) is not None for name in type(place).model_fields):
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
    if fields.role is not None and fields.role != "both":
        found.append(Problem("not built yet: KV tiers of pools with roles", where=where))
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


def traffic_of(simulation: Simulation, job: Job) -> Traffic | None:
    """Stores, connectors and lanes for the engines of a job; None if nothing lies below their GPUs."""
    pools = [pool for pool in simulation.pools if pool.machine.job is job]
    if not any(levels(pool.machine) for pool in pools):
        return None
    return _Builder(simulation, pools).traffic()


class _Builder:
    """Makes one store per node and pool; remote pools are shared by all."""

    def __init__(self, simulation: Simulation, pools: list[Pool]) -> None:
        self.simulation = simulation
        self.pools = pools
        self.fabric = simulation.fabric_of(pools[0].machine.system)
        self.stores: dict[tuple[int, str], TierStore] = {}
        self.shared: dict[tuple[str, float], Tier] = {}
        self.sites: dict[int, list[Site]] = {}  # by store
        self.ways: dict[int, TierWays] = {}
        self.gpus: list[tuple[str, ...]] = []
        self.described: dict[int, Described] = {}

    def traffic(self) -> Traffic:
        from hwsim.serving.kv.tier_connector import PrefillTime, TierConnector
        from hwsim.serving.kv.tier_traffic import Rules, Traffic

        engines, connectors = [], []
        first = self.pools[0].machine
        rule = kv_rule(first.fields)
        assert rule is not None
        for pool in self.pools:
            prefill = PrefillTime(pool.pricer)
            miss = MISSES.get(rule.miss or "load")
            for engine, gpus in zip(pool.engines, pool.machine.places, strict=True):
                engine.pool = watched(engine)
                store = self._store(pool, gpus)
                engines.append(engine)
                connectors.append(TierConnector(engine, store, miss, prefill, lambda *_: []))
                self.gpus.append(gpus)
        kinds = levels(first)
        staged = [
            number > 0 and (level.role in DRIVES or level.group is not None) and kinds[0].role in MEMORIES
            for number, level in enumerate(kinds)
        ]
        assert first.model is not None
        size = first.config.block_size
        rules = Rules(
            rule.write or "through",
            rule.fetch or "on_demand",
            first.model.num_hidden_layers,
            -(-int(figures()["least_prefetch"]) // size),
        )
        traffic = Traffic(engines, connectors, self._lane, staged, rules, self.simulation.clock)
        traffic.described = list(self.described.values())
        return traffic

    def _store(self, pool: Pool, gpus: tuple[str, ...]) -> TierStore:
        from hwsim.serving.kv.tier_store import TierStore
        from hwsim.serving.kv.tier_ways import Site, TierWays

        node = gpus[0].rpartition("/")[0]
        key = (id(pool), node)
        if key in self.stores:
            return self.stores[key]
        machine = pool.machine
        tiers, sites = [], []
        for level in levels(machine):
            tiers.append(self._tier(level, node, machine))
            sites.append(Site(self._places(level, node), level.role in DRIVES))
        store = self.stores[key] = TierStore(tiers)
        rule = kv_rule(machine.fields)
        self.sites[id(store)] = sites
        rank = _page_bytes(machine) / max(len(gpus), 1)
        self.ways[id(store)] = TierWays(self.fabric, rank, gpudirect=rule is not None and rule.route == "gpudirect")
        return store

    def _tier(self, level: Level, node: str, machine: Machine) -> Tier:
        from hwsim.serving.kv.tier import Tier
        from hwsim.serving.kv.tier_traffic import Described

        page = _page_bytes(machine)
        shared = (level.name, page)
        if level.group is not None and shared in self.shared:
            return self.shared[shared]
        rule = kv_rule(machine.fields)
        assert rule is not None
        pages = int(level.limit_bytes // page)
        staging = int(pages * figures()["staging_share"])
        name = level.name if level.group is not None or not node else f"{node}/{level.name}"
        tier = Tier(name, pages - staging, EVICTIONS.get(rule.evict or "lru")(), staging)
        if level.group is not None:
            self.shared[shared] = tier
        self.described[id(tier)] = Described(tier, level.name, page, _endurance(machine, level))
        return tier

    def _places(self, level: Level, node: str) -> tuple[str, ...]:
        if level.group is None:
            return (f"{node}/{level.role}" if node else level.role,)
        system = self.fabric.system
        group = system.groups[level.group]
        return tuple([f"{system.prefix(group, index)}{level.role}" for index in range(group.nodes)])

    def _lane(self, store: TierStore, number: int, source: int, target: int) -> Any:
        from hwsim.serving.kv.lane import Lane
        from hwsim.serving.kv.tier_traffic import GPU

        sites, ways, gpus = self.sites[id(store)], self.ways[id(store)], self.gpus[number]
        if source == GPU:
            way = ways.down(sites[target], gpus)
        elif target == GPU:
            way = ways.up(sites[source], gpus)
        else:
            way = ways.between(sites[source], sites[target], len(gpus))
        ends = ["gpu" if level == GPU else self.described[id(store.tiers[level])].device for level in (source, target)]
        page = ways.rank_bytes * len(gpus)
        return Lane(self.simulation.domain, way, (ends[0], ends[1]), page, merges=target != GPU)


def _endurance(machine: Machine, level: Level) -> float | None:
    """Bytes that may be written to the drives of a tier on all nodes it is spread over."""
    if level.role not in DRIVES:
        return None
    from hwsim.hardware.storage import Drive

    assert machine.system is not None
    group = machine.system.groups[level.group or machine.group]
    device = group.node.device(level.role)
    each = Drive(device, device.count).endurance
    return None if each is None else each * (group.nodes if level.group is not None else 1)


def watched(engine: SimEngine) -> WatchedPool:
    """The pool of an engine that has not begun, as one that tells what it loses."""
    from hwsim.serving.kv.watched_pool import WatchedPool

    config = engine.config
    return WatchedPool(
        config.num_gpu_blocks,
        config.block_size,
        enable_prefix_caching=config.enable_prefix_caching,
        unhashed_first=config.unhashed_first,
    )


def _page_bytes(machine: Machine) -> float:
    """A page of KV over all ranks of a replica, heads that ranks replicate counted each time."""
    assert machine.shard is not None
    ranks = max(len(machine.places[0]), 1)
    return float(machine.shard.kv_bytes_per_token) * machine.config.block_size * ranks
