"""Engine profiles: every one is whole, names a scheduler that exists, and its numbers have sources."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from hwsim.serving import engine_profile
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.kv.room import kv_room
from hwsim.serving.scheduler import SCHEDULERS

STATUS = {"SEEN", "SEEN2", "FIT", "BORROWED", "MEMORY", "GIVEN"}


@pytest.mark.parametrize("name", engine_profile.names())
def test_profiles_are_whole(name: str) -> None:
    profile = engine_profile.find(name)
    assert profile.name == name and profile.scheduler in SCHEDULERS.names()
    for size in (16, 24, 48, 80, 141, 192):
        found = profile.for_device("any", size * 2**30)
        assert found["max_num_batched_tokens"] > 0 and found["max_num_seqs"] > 0
    assert 0 <= profile.host["per_row"] <= profile.host["base"] < 0.01
    assert 0 <= profile.first_token_extra(1000) < 0.02
    config = EngineConfig.of({**profile.defaults, "max_num_seqs": 4}, 77)
    assert (config.scheduler, config.num_gpu_blocks, config.max_num_seqs) == (profile.scheduler, 77, 4)
    assert {field.name for field in dataclasses.fields(EngineConfig)} >= {"options", "watermark"}


@pytest.mark.parametrize("name", engine_profile.names())
def test_every_value_has_a_source_and_a_status(name: str) -> None:
    def check(item: object, path: str) -> None:
        if isinstance(item, dict) and "value" in item:
            assert item.get("source") and item.get("status") in STATUS, path
        elif isinstance(item, dict):
            for key, inner in item.items():
                check(inner, f"{path}.{key}")

    check(yaml.safe_load(engine_profile.find(name).text), name)


def test_a_family_alone_means_its_newest_version() -> None:
    assert engine_profile.find("vllm").name == "vllm-0.33"
    assert engine_profile.find("trtllm").name == "trtllm-1.1"


def test_sglang_leaves_room_by_chunk_and_graphs() -> None:
    sglang = engine_profile.find("sglang-0.5")
    assert sglang.for_device("h100", 81559 * 2**20)["gpu_memory_utilization"] == 0.835


def test_kv_room_follows_the_engine() -> None:
    given = {
        "total_bytes": 80e9,
        "weight_bytes": 16e9,
        "activation_bytes": 2e9,
        "runtime_bytes": 1e9,
        "graph_bytes": 1e9,
        "page_bytes": 1e6,
    }
    vllm = kv_room(utilisation=0.9, graphs_inside_budget=True, **given)
    assert vllm.kv_bytes == 72e9 - 20e9
    sglang = kv_room(utilisation=0.84, graphs_inside_budget=False, activations_inside_budget=False, **given)
    assert sglang.kv_bytes == pytest.approx(67.2e9 - 17e9)
    trtllm = kv_room(utilisation=0.9, graphs_inside_budget=True, of_free=True, **given)
    assert trtllm.kv_bytes == pytest.approx(0.9 * 60e9)
