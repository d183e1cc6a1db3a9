"""``workload.memories``: KV computed before the run lies on the GPUs or in a tier when the first request comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.scenario.tier_rules import kv_rule, levels
from hwsim.serving.kv.chunks import chunks
from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool
    from hwsim.scenario.job import Job
    from hwsim.serving.engine import Engine
    from hwsim.serving.kv.tier import Tier
    from hwsim.workload.memories import Memories


def problems(job: Job, pool: str) -> list[Problem]:
    """Places where no memory can lie."""
    fields = job.pools[pool]
    found = []
    workload = job.spec.workload
    for name, stream in (workload.members() if workload is not None else {}).items():
        memories = stream.memories
        if memories is None or memories.inject != "kv":
            continue
        path = "workload.memories" if workload is None or workload.streams is None else f"workload.streams.{name}"
        where = job.where(job.path(path))
        if fields.enable_prefix_caching is False:
            found.append(Problem("memories as KV are prefixes", where, expected="enable_prefix_caching: true"))
        rule = kv_rule(fields)
        known = ["gpu"] if rule is None else list(rule.tiers or [])
        if fields.role != "decode" and memories.at is not None and memories.at not in known:
            text = f"pool {pool} keeps no KV there"
            found.append(Problem(text, where, memories.at, "one of " + ", ".join(known), nearest(memories.at, known)))
    return found


def inject(job: Job, pools: Sequence[Pool], given: Sequence[Memories]) -> list[str]:
    """Fill pages or tiers of the pools that prefill, before the run; returns what had to be left out.

    As many memories as there is room for, the most popular first; they are put in last to first, so that the most
    popular is the most recent.  A tier that engines share is filled once.
    """
    left: list[str] = []
    for memories in given:
        filled: set[int] = set()
        for pool in pools if memories.injected else ():
            names = [level.name for level in levels(pool.machine)]
            place = str(memories.spec.get("at") or (names[0] if names else "gpu"))
            for engine in pool.engines:
                if not engine.pool.caching:
                    raise ScenarioError.of(
                        "memories as KV are prefixes, which these engines do not keep",
                        where=job.where(job.path("workload")),
                        expected="enable_prefix_caching: true",
                    )
                tier = _tier(engine, names.index(place)) if place in names else None
                if tier is not None and id(tier) in filled:
                    continue
                filled.add(id(tier))
                put = 0  # in a tier of no size
                if tier is not None:
                    put = _in_tier(engine, tier, memories)
                elif place == "gpu":
                    put = _on_gpu(engine, memories)
                if put < memories.count:
                    left.append(f"{put:,} of {memories.count:,} memories fit at {place}: the most popular ones")
    return list(dict.fromkeys(left))


def _tier(engine: Engine, level: int) -> Tier:
    """A tier of the store that an engine is connected to."""
    connector: Any = engine.remote.connector
    return connector.store.tiers[level]


def _asking(memories: Memories, memory: int) -> Request:
    """A prompt that is a memory and one token more."""
    ids = memories.ids(memory)
    tokens = len(ids) * memories.block
    return Request(-1 - memory, 0, tokens + 1, 1, 1, False, 0, ids, memories.block, None)


def _on_gpu(engine: Engine, memories: Memories) -> int:
    pool = engine.pool
    chosen, room = [], pool.free - pool.cached
    for memory in range(memories.count):
        request = _asking(memories, memory)
        pages = (request.prompt_tokens - 1) // pool.block_size
        if pages > room:
            break
        room -= pages
        chosen.append((request, pages))
    for request, pages in reversed(chosen):
        pool.take(pages)
        request.pages = pages
        pool.register(request, pages * pool.block_size)
        pool.release(request, pages * pool.block_size)
    return len(chosen)


def _in_tier(engine: Engine, tier: Tier, memories: Memories) -> int:
    chosen, room = [], tier.capacity - tier.used
    for memory in range(memories.count):
        found = chunks(_asking(memories, memory), engine.pool.block_size)
        room -= sum(found.sizes())
        if room < 0:
            break
        chosen.append(found)
    for found in reversed(chosen):
        for key, pages in zip(reversed(found.keys), reversed(found.sizes()), strict=True):
            tier.add(key, pages)
    return len(chosen)
