"""KV tiers put together: one store per node and pool, who shares them, and the lanes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError
from hwsim.scenario.tier_rules import DRIVES, EVICTIONS, MEMORIES, MISSES, Level, figures, kv_rule, levels

if TYPE_CHECKING:
    from hwsim.hardware.fabric import Fabric
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.scenario.machine import Machine
    from hwsim.serving.engine import Engine
    from hwsim.serving.kv.tier import Described, Tier
    from hwsim.serving.kv.tier_store import TierStore
    from hwsim.serving.kv.tier_traffic import Traffic
    from hwsim.serving.kv.tier_ways import Site, TierWays
    from hwsim.serving.kv.watched_pool import WatchedPool


def traffic_of(simulation: Simulation, pools: list[Pool], *, watched: bool = False) -> Traffic | None:
    """Stores, connectors and lanes for the engines of some pools of a job; None if nothing lies below their GPUs.

    ``watched``: somebody wants to know what the GPUs hold, whether there are tiers or not.
    """
    if not any(levels(pool.machine) for pool in pools) and not watched:
        return None
    return _Builder(simulation, pools).traffic()


class _Builder:
    """Makes one store per node and pool; remote pools are shared by all."""

    def __init__(self, simulation: Simulation, pools: list[Pool]) -> None:
        self.simulation = simulation
        self.pools = pools
        self.stores: dict[tuple[int, str], TierStore] = {}
        self.shared: dict[tuple[str, float], Tier] = {}
        self.sites: dict[int, list[Site]] = {}  # by store
        self.ways: dict[int, TierWays] = {}
        self.gpus: list[tuple[str, ...]] = []
        self.described: dict[int, Described] = {}

    def traffic(self) -> Traffic:
        from hwsim.serving.kv.tier_connector import DecodeConnector, PrefillTime, TierConnector
        from hwsim.serving.kv.tier_traffic import Rules, Traffic

        engines, connectors = [], []
        tiered = next((pool.machine for pool in self.pools if levels(pool.machine)), None)
        self._agree(tiered)
        for pool in self.pools:
            prefill = PrefillTime(pool.pricer)
            kind = DecodeConnector if pool.machine.role == "decode" else TierConnector
            rule = kv_rule(pool.machine.fields)
            miss = MISSES.get(rule.miss if rule is not None and rule.miss is not None else "load")
            for engine, gpus in zip(pool.engines, pool.machine.places, strict=True):
                engine.pool = watched_pool(engine)
                engines.append(engine)
                connectors.append(kind(engine, self._store(pool, gpus), miss, prefill))
                self.gpus.append(gpus)
        kinds = levels(tiered) if tiered is not None else []
        staged = [
            number > 0 and (level.role in DRIVES or level.group is not None) and kinds[0].role in MEMORIES
            for number, level in enumerate(kinds)
        ]
        rules = Rules()
        if tiered is not None:
            rule = kv_rule(tiered.fields)
            assert rule is not None and tiered.model is not None
            least = -(-int(figures()["least_prefetch"]) // tiered.config.block_size)
            layers = tiered.model.num_hidden_layers
            rules = Rules(rule.write or rules.write, rule.fetch or rules.fetch, layers, least)
        traffic = Traffic(engines, connectors, self._lane, staged, rules, self.simulation.clock)
        traffic.described = list(self.described.values())
        return traffic

    def _agree(self, tiered: Machine | None) -> None:
        """Pools of one job may differ in sizes, not in the order of their tiers nor in how KV moves."""
        said = {}
        for machine in (pool.machine for pool in self.pools):
            rule = kv_rule(machine.fields)
            if rule is not None and tiered is not None:
                names = [level.name for level in levels(machine)]
                said[machine.pool] = f"{names}, write {rule.write}, fetch {rule.fetch}"
        if len(set(said.values())) > 1:
            job = self.pools[0].machine.job
            raise ScenarioError.of(
                "pools of one job have different KV tiers",
                where=job.where(job.path("serve.pools")),
                got="; ".join(f"{pool}: {text}" for pool, text in said.items()),
                expected="the same tiers, write and fetch",
            )

    @property
    def fabric(self) -> Fabric:
        """The live links of the system."""
        return self.simulation.fabric_of(self.pools[0].machine.system)

    def _store(self, pool: Pool, gpus: tuple[str, ...]) -> TierStore:
        from hwsim.serving.kv.tier_store import TierStore
        from hwsim.serving.kv.tier_ways import Site, TierWays

        node = gpus[0].rpartition("/")[0] if gpus else ""
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
        if not tiers:
            return store
        self.sites[id(store)] = sites
        rank = _page_bytes(machine) / max(len(gpus), 1)
        self.ways[id(store)] = TierWays(self.fabric, rank, gpudirect=rule is not None and rule.route == "gpudirect")
        return store

    def _tier(self, level: Level, node: str, machine: Machine) -> Tier:
        from hwsim.serving.kv.tier import Described, Tier

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
        io = page / max(len(machine.places[0]), 1) if level.role in DRIVES else None
        self.described[id(tier)] = Described(tier, level.name, page, _endurance(machine, level), io)
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


def watched_pool(engine: Engine) -> WatchedPool:
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
