"""Mechanisms of offloading by themselves: blocks that rows touch, what fits a phone, pinned buffers, a core's DRAM."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hwsim.hardware import System
from hwsim.scenario.load import load
from hwsim.scenario.offline import job_of
from hwsim.taskgraph import Executor, Segment
from hwsim.taskgraph.job import Step
from hwsim.taskgraph.patterns.neuron_clusters import BLOCK, NeuronClusters, blocks_of
from hwsim.taskgraph.pricer import GraphPricer
from hwsim.taskgraph.site import Site
from tests.taskgraph.test_patterns import NODE, SIZES, _decode

PHONE = {
    "name": "phone",
    "model": {"like": "PowerInfer/TurboSparse-Mixtral", "dtype": "int4"},
    "system": {"node": {"like": "oneplus-12", "dram": {"usable": "19 GB"}}},
    "serve": {
        "batching": "static",
        "execute": {"kind": "neuron_clusters", "npu_share": "50 %"},
        "place": {"ffn": {"tiers": ["dram", "flash"]}},
    },
    "workload": {"requests": 1, "sparsity": {"active": "8 %", "reuse": "95 %"}},
}


@pytest.mark.parametrize("row", [32, 2304, 4095, 4096, 4097, 6144, 8192])
def test_blocks_of_a_row_that_begins_anywhere(row: int) -> None:
    """Counted over many rows that lie one after the other, up to a whole number of blocks."""
    rows = BLOCK
    touched = sum((i * row + row - 1) // BLOCK - i * row // BLOCK + 1 for i in range(rows))
    assert blocks_of(row, 1, "none") == pytest.approx(touched / rows)


def test_bundles_need_fewer_blocks() -> None:
    assert blocks_of(2304, 3, "gate_up_down") == pytest.approx(1.8)
    assert blocks_of(8192, 3, "gate_up_down") == 6  # one read of 24 KB
    for row in random.Random(1).choices(range(600, 9000), k=50):
        assert blocks_of(row, 3, "up_down") <= blocks_of(row, 3, "none") + 1


def test_the_phone_keeps_what_fits() -> None:
    """The rest of the feed-forward network is away; owners add up to the memory, and the cache gives way to keys."""
    job = job_of(load(PHONE))
    pricer = GraphPricer(job, NeuronClusters)
    pricer.pass_time(Step(1, 1, 100), steady=True)
    pool = pricer.memory["dram"]
    assert pool["peak_bytes"] == pytest.approx(19e9, rel=1e-6)
    assert sum(pool["owners_at_peak"].values()) == pool["peak_bytes"]
    assert isinstance(pricer.pattern, NeuronClusters)
    away = pricer.pattern.away
    sizes = job.sizes
    resident = pool["owners_at_peak"]["neurons"]
    assert resident == pytest.approx((1 - away) * sizes.ffn * sizes.layers * sizes.weight_bytes, rel=1e-6)
    long = GraphPricer(job, NeuronClusters)
    long.pass_time(Step(1, 1, 30_000), steady=False)  # 4 GB of keys and values
    assert long.memory["dram"]["peak_bytes"] == pytest.approx(19e9, rel=1e-6)
    small = job_of(load(PHONE | {"system": {"node": {"like": "oneplus-12", "dram": {"usable": "12 GB"}}}}))
    assert NeuronClusters(small).away > away


def test_waiting_for_each_read_costs_its_rate() -> None:
    settings: dict[str, Any] = {"random_rate": 0.8e9, "waited_rate": 0.4e9, "npu_share": 0.0}
    node = {"like": "oneplus-12", "dram": {"usable": "19 GB"}}
    options: dict[str, Any] = {"node": node, "dtype": "int4", "facts": {"active": 0.5, "reuse": 0.9}}
    place = {"ffn": {"dram": 0.5, "flash": 0.5}}
    flight = _decode("neuron_clusters", place, pipeline=True, step=Step(1, 1, 99), **options, **settings)
    waited = _decode("neuron_clusters", place, pipeline=False, step=Step(1, 1, 99), **options, **settings)
    assert waited.parts["neuron reads"] == pytest.approx(2 * flight.parts["neuron reads"], rel=1e-3)


def test_a_cache_that_is_not_pinned_is_copied_twice() -> None:
    place = {"weights": {"gpu": 1.0}, "kv": {"dram": 1.0}}
    plain = _decode("zigzag", place, gpu_batch=8)
    pinned = _decode("zigzag", place, gpu_batch=8, pinned_cache=True)
    cache = 8 * 1023 * SIZES.kv_bytes * SIZES.layers
    assert pinned.parts["cache to GPU"] == pytest.approx(cache / 20e9, rel=0.01)
    assert plain.parts["staging"] == pytest.approx(cache / 8e9, rel=0.01)
    assert plain.seconds > pinned.seconds


def test_a_processor_draws_no_more_of_the_memory_than_it_can() -> None:
    """Alone each is held by its own path; together by the memory, which has less than both ask for."""
    site = Site(System.of({"node": "oneplus-12"}), dtype="int4")
    assert [capacity.name for capacity in site.memories("cpu")] == ["cpu.dram", "dram"]
    works = {"cpu": site.compute("cpu", "cpu", 0, 43.9e9), "npu": site.compute("npu", "npu", 0, 56e9)}
    for place, work in works.items():
        assert work.bound == f"{place}.dram"
        assert work.ticks == pytest.approx(1e12, rel=1e-9)

    def both(executor: Executor, index: int) -> None:
        for place, work in works.items():
            executor.task(place, executor.stream(place), work)

    site.executor.run([Segment(1, both)])
    half = 59.6 / 2  # each gets as much until the processor is done
    seconds = 43.9 / half + (56 - 43.9) / 56
    assert site.executor.clock.now == pytest.approx(seconds * 1e12, rel=1e-9)
    assert [capacity.name for capacity in Site(System.of({"node": NODE})).memories("gpu0")] == ["gpu0.hbm"]
