"""``serve.kv_allocation``: the engine that a pool starts, the size of its pages, and what paging costs kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.part import Parts
from hwsim.scenario.tier_rules import kv_rule
from hwsim.units import format_quantity, parse

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.model.sharding import Shard
    from hwsim.scenario.job import Job
    from hwsim.scenario.machine import Machine
    from hwsim.scenario.schema.serve import Engine as Pool
    from hwsim.serving.engine import Engine
    from hwsim.serving.kv.room import KvRoom

ALLOCATIONS = Parts("hwsim.serving.policies.allocation")


def is_contiguous(pool: Pool) -> bool:
    """Whether a pool's KV is contiguous memory mapped on demand."""
    return pool.kv_allocation is not None and pool.kv_allocation.kind == "contiguous"


def problems(job: Job, pool: str, fields: Pool) -> list[Problem]:
    """What contiguous memory does not combine with."""
    if not is_contiguous(fields):
        return []
    where = job.where(job.pool_path(pool, "kv_allocation"))
    if job.spec.model is None or job.scenario.spec.system is None:
        return [Problem("contiguous KV belongs to a model on a machine", where, expected="a model and a system")]
    found = []
    if fields.enable_prefix_caching:
        found.append(
            Problem("contiguous KV shares no prefixes between requests", where, expected="no enable_prefix_caching")
        )
    if fields.block_size is not None:
        found.append(Problem("a page of contiguous KV is its page_group", where, expected="no block_size"))
    if kv_rule(fields) is not None:
        found.append(Problem("KV tiers share prefixes, which contiguous KV cannot", where, expected="no place.kv"))
    if job.serve.router is not None and job.serve.router.kind == "kv_aware":
        found.append(Problem("router kv_aware looks for prefixes, which contiguous KV does not share", where))
    if job.serve.handover is not None:
        found.append(Problem("not built yet: contiguous KV with a hand-over", where))
    if fields.pipeline_parallel_size > 1:
        found.append(Problem("not built yet: contiguous KV with pipeline stages", where))
    return found


def tensors(shard: Shard, where: str) -> tuple[int, float]:
    """KV tensors of a rank and bytes of a token in one of them; layers must be alike."""
    from hwsim.model.parts.attention import Attention
    from hwsim.model.parts.mla import Mla

    count, sizes = 0, set()
    for layers, block in shard.kinds:
        mixer = block.mixer
        if type(mixer) is Attention and mixer.window is None:
            count += 2 * layers
            sizes.add(mixer.kv_elements(shard.tensor_parallel_size) / 2)
        elif isinstance(mixer, Mla) and not mixer.index_elements():
            count += layers
            sizes.add(float(mixer.kv_elements(shard.tensor_parallel_size)))
        elif mixer is not None:
            sizes.add(-1.0)
    if len(sizes) != 1 or -1.0 in sizes or not count:
        raise ScenarioError.of(
            f"not built yet: contiguous KV for layers that keep unequal caches ({shard.model.hf_id})",
            where=where,
            expected="kv_allocation: paged",
        )
    return count, sizes.pop() * shard.model.kv_format.bytes


def page_tokens(job: Job, name: str, pool: Pool, shard: Shard, settings: dict[str, Any]) -> None:
    """Settings of contiguous memory: a page holds the tokens of a page-group, and prefixes are not shared."""
    if not is_contiguous(pool):
        return
    where = job.where(job.pool_path(name, "kv_allocation"))
    _, size = tensors(shard, where)
    group = int(getattr(pool.kv_allocation, "page_group", 0))
    if group not in map_times():
        raise ScenarioError.of(
            "no driver maps such page-groups",
            where=where,
            got=format_quantity(group, "bytes"),
            expected="64 KiB, 128 KiB, 256 KiB or 2 MiB",
        )
    if group < size:
        raise ScenarioError.of(
            "a page-group holds not even one token",
            where=where,
            got=format_quantity(group, "bytes"),
            expected=f"at least {format_quantity(size, 'bytes')}",
        )
    settings["block_size"] = int(group // size)
    settings["enable_prefix_caching"] = False


def page_room(job: Job, name: str, pool: Pool, shard: Shard, room: KvRoom, settings: dict[str, Any]) -> KvRoom:
    """Pages that fit when each is a page-group in every tensor, and virtual memory for every place."""
    if not is_contiguous(pool):
        return room
    where = job.where(job.pool_path(name, "kv_allocation"))
    count, size = tensors(shard, where)
    group = int(getattr(pool.kv_allocation, "page_group", 0))
    longest = pool.max_model_len if isinstance(pool.max_model_len, int) else shard.model.max_position_embeddings
    reserved, most = count * size * longest * settings["max_num_seqs"], figures()["address_space"]
    if reserved > most:
        raise FitError.of(
            "contiguous KV reserves more than there are addresses",
            where=where,
            got=format_quantity(reserved, "bytes"),
            expected=f"max_num_seqs x max_model_len of at most {format_quantity(most, 'bytes')}",
        )
    if pool.num_gpu_blocks_override is not None:
        return replace(room, page_bytes=float(count * group))
    return replace(room, page_bytes=float(count * group), num_gpu_blocks=max(int(room.kv_bytes // (count * group)), 1))


def engine_kind(machine: Machine) -> Any:
    """The class of a pool's engines."""
    chosen = machine.fields.kv_allocation
    if chosen is None or not is_contiguous(machine.fields):
        return ALLOCATIONS.get("paged")
    from hwsim.cost.price import subticks
    from hwsim.serving.contiguous import Mapping

    assert machine.shard is not None
    count, _ = tensors(machine.shard, "serve.kv_allocation")
    fields: Any = chosen
    each = fields.map_time if fields.map_time is not None else map_times()[int(fields.page_group)]
    ahead = -(-fields.ahead // machine.config.block_size)
    mapping = Mapping(subticks(count * each), fields.mapping == "background", fields.reclamation == "deferred", ahead)
    return partial(ALLOCATIONS.get(chosen.kind), mapping=mapping)


def paging_laws(pool: Pool, laws: Efficiency) -> Efficiency:
    """The laws of a device where block tables make attention take a multiple of its time."""
    fields: Any = pool.kv_allocation
    if fields is None or fields.kind != "paged" or fields.prefill_attention == fields.decode_attention == 1:
        return laws
    from hwsim.cost.paging import paged

    return paged(laws, fields.prefill_attention, fields.decode_attention)


def mapping_facts(engines: Sequence[Engine]) -> dict[str, Any] | None:
    """What the driver did for contiguous KV: pages, and the seconds that steps waited for it; None without."""
    from hwsim.cost.price import SUBTICKS_PER_SECOND

    found: list[Any] = [engine for engine in engines if hasattr(engine, "slots")]
    if not found:
        return None
    slots = [engine.slots for engine in found]
    mapped, reused = sum([each.maps for each in slots]), sum([each.reused for each in slots])
    return {
        "mapped_pages": mapped,
        "reused_pages": reused,
        "unmapped_pages": sum([each.unmaps for each in slots]),
        "reused_share": reused / (mapped + reused) if mapped + reused else None,
        "waited_s": sum([engine.delays for engine in found]) / SUBTICKS_PER_SECOND,
    }


@cache
def _read() -> dict[str, Any]:
    import hwsim.serving.kv

    path = Path(hwsim.serving.kv.__file__).parent / "mapping.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def map_times() -> dict[int, float]:
    """Seconds to map a page-group, by its bytes."""
    times = _read()["map_time"]
    return {int(parse(size, "bytes")): float(parse(each["value"], "s")) for size, each in times.items()}


@cache
def figures() -> dict[str, float]:
    """What holds for every page-group."""
    return {"address_space": float(parse(_read()["address_space"]["value"], "bytes"))}
